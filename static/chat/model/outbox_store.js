/** The browser's storage, which may be missing, forbidden or full; and random ids. */

/** @import {FileFacts} from "./files.js" */
/** @import {Source} from "./protocol.js" */

/**
 * A message in the outbox, perhaps one of the copies that share an `across`. `replyTo`: the message that it answers. `sent`: saved by the server, but its event has not arrived. `failed`: refused for good.
 * `held`: too old to be sent without asking. `since`: when its author last asked to send it, if later than `at`.
 * @typedef {{client_id: string, room: string, text: string, at: number, state: "pending" | "sent" | "failed" | "held", epoch?: string, title?: string, type?: number, across?: string, source?: Source, replyTo?: number, files?: FileFacts[], since?: number, code?: string, detail?: string}} Entry
 */
/** The part of localStorage that is used. @typedef {Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">} Store */

/**
 * Open the browser's storage. Reading never throws; writing throws when nothing can be stored.
 * @param {() => Storage | null | undefined} open returns null or undefined if storage is switched off, as Firefox and web views can do
 * @returns {Store}
 */
export function openStore(open = () => localStorage) {
  /**
   * @template T
   * @param {(storage: Storage) => T} use
   * @param {T} otherwise
   */
  const attempt = (use, otherwise) => {
    try {
      const storage = open();
      return storage ? use(storage) : otherwise;
    } catch {
      return otherwise;
    }
  };
  return {
    get length() {
      return attempt((storage) => storage.length, 0);
    },
    key: (i) => attempt((storage) => storage.key(i), null),
    getItem: (key) => attempt((storage) => storage.getItem(key), null),
    removeItem: (key) => attempt((storage) => storage.removeItem(key), undefined),
    setItem: (key, value) => {
      const storage = open();
      if (!storage) throw new Error("no storage");
      storage.setItem(key, value);
    },
  };
}

/** The keys of a store that begin with a prefix. @param {Store} store @param {string} prefix */
export function keysOf(store, prefix) {
  const keys = Array.from({ length: store.length }, (_, i) => store.key(i) ?? "");
  return keys.filter((key) => key.startsWith(prefix));
}

/** A random UUID, also over plain HTTP, where `crypto.randomUUID` is missing. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) % 4];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
