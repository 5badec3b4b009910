/** Which alerts this user has not said "Got it" to: one entry of localStorage for each room. */

import { ALERT } from "./protocol.js";

/** @import {Store} from "./outbox_store.js" */
/** @import {Message} from "./room_log.js" */

/** @typedef {{at: string, username: string, text: string}} Pinned */
/** By the time they were posted: numbers may come again in a restored log. @typedef {{pinned: Record<string, Pinned>, got: string[]}} Kept */

/** Older ones that scrolling back brings are history, not news. */
const FRESH_MS = 7 * 86_400_000;
const GOT_AT_MOST = 100;

export class Alerts {
  #prefix;
  #store;
  /** @type {Map<string, Kept>} */
  #rooms = new Map();
  /** @type {(room: string) => void} */
  onchange = () => {};

  /**
   * @param {number | string} user
   * @param {Store} store
   */
  constructor(user, store) {
    this.#prefix = `multichat.alerts.${user}.`;
    this.#store = store;
  }

  /** @param {string} room */
  of(room) {
    return Object.values(this.#read(room).pinned).sort((a, b) => a.at.localeCompare(b.at));
  }

  /**
   * See messages as they are now: alerts among them are pinned, changed or let go.
   * @param {string} room
   * @param {Message[]} messages
   */
  take(room, messages) {
    const alerts = messages.filter(({ type }) => type === ALERT);
    if (!alerts.length) return;
    const { pinned, got } = this.#read(room);
    for (const { at, username, text } of alerts) {
      const isFresh = Date.now() - Date.parse(at) < FRESH_MS || Object.hasOwn(pinned, at);
      if (text === null) delete pinned[at];
      else if (isFresh && !got.includes(at)) pinned[at] = { at, username, text };
    }
    this.#keep(room, { pinned, got });
  }

  /**
   * @param {string} room
   * @param {string} at
   */
  gotIt(room, at) {
    const { pinned, got } = this.#read(room);
    delete pinned[at];
    this.#keep(room, { pinned, got: [...got, at].slice(-GOT_AT_MOST) });
  }

  /** Nothing of a room that is closed to its reader stays. @param {string} room */
  forget(room) {
    this.#rooms.delete(room);
    this.#store.removeItem(this.#prefix + room);
  }

  /** Another tab changed the store. @param {string | null} key */
  heard(key) {
    if (!key?.startsWith(this.#prefix)) return;
    const room = key.slice(this.#prefix.length);
    this.#rooms.delete(room);
    this.onchange(room);
  }

  /** Forget everything, at sign-out. */
  clear() {
    const keys = Array.from({ length: this.#store.length }, (_, i) => this.#store.key(i) ?? "");
    for (const key of keys) if (key.startsWith(this.#prefix)) this.#store.removeItem(key);
  }

  /** @param {string} room @returns {Kept} */
  #read(room) {
    return this.#rooms.get(room) ?? parse(this.#store.getItem(this.#prefix + room));
  }

  /** @param {string} room @param {Kept} kept */
  #keep(room, kept) {
    this.#rooms.set(room, kept);
    try {
      this.#store.setItem(this.#prefix + room, JSON.stringify(kept));
    } catch {
      // Full, or closed to us: known as long as the page lives.
    }
    this.onchange(room);
  }
}

/** @param {string | null} text @returns {Kept} */
function parse(text) {
  try {
    const { pinned = {}, got = [] } = JSON.parse(text ?? "{}");
    return { pinned, got };
  } catch {
    return { pinned: {}, got: [] };
  }
}
