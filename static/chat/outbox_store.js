/** Where the outbox keeps its texts: one entry of localStorage for each, so that tabs do not overwrite each other. */

/**
 * `sent`: saved by the server, its event not yet shown. `failed`: refused for good.
 * @typedef {{client_id: string, room: string, text: string, at: number, state: "pending" | "sent" | "failed", code?: string, detail?: string}} Entry
 */
/** What is used of localStorage. @typedef {Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">} Store */

export class OutboxStore {
  #prefix;
  #store;
  /** What the store did not take, being full or closed to us: it lives as long as the page. @type {Map<string, Entry>} */
  #unstored = new Map();

  /**
   * @param {number | string} user
   * @param {Store} store
   */
  constructor(user, store) {
    this.#prefix = `multichat.outbox.${user}.`;
    this.#store = store;
  }

  /**
   * A name for something of this user's outbox, in all tabs: its key, or a room's lock.
   * @param {string} id
   */
  nameOf(id) {
    return this.#prefix + id;
  }

  /** @param {string | null} key null: everything was cleared */
  owns(key) {
    return key === null || key.startsWith(this.#prefix);
  }

  get hasUnstored() {
    return this.#unstored.size > 0;
  }

  /** @returns {Entry[]} */
  read() {
    const keys = Array.from({ length: this.#store.length }, (_, i) => this.#store.key(i) ?? "");
    const stored = keys
      .filter((key) => key.startsWith(this.#prefix))
      .map((key) => parse(this.#store.getItem(key)));
    // Last, because the last one counts: the store may still have what a text was before.
    return [...stored.filter((entry) => entry !== null), ...this.#unstored.values()];
  }

  /** @param {Entry} entry */
  keep(entry) {
    this.#unstored.delete(entry.client_id);
    try {
      this.#store.setItem(this.nameOf(entry.client_id), JSON.stringify(entry));
    } catch {
      this.#unstored.set(entry.client_id, entry);
    }
  }

  /** @param {string} clientId */
  forget(clientId) {
    this.#unstored.delete(clientId);
    this.#store.removeItem(this.nameOf(clientId));
  }
}

/**
 * Open the browser's store; it may refuse storage altogether.
 * @returns {Store}
 */
export function openStore() {
  const setItem = () => {
    throw new Error("no storage");
  };
  try {
    return localStorage;
  } catch {
    return { length: 0, key: () => null, getItem: () => null, setItem, removeItem: () => {} };
  }
}

/**
 * @param {string | null} text
 * @returns {Entry | null}
 */
function parse(text) {
  try {
    const entry = JSON.parse(text ?? "null");
    return typeof entry?.client_id === "string" && typeof entry.room === "string" ? entry : null;
  } catch {
    return null;
  }
}

/** A random UUID, also where `crypto.randomUUID` is missing (plain http). */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) % 4];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
