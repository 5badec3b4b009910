/** What is written and not sent: one entry of localStorage for each room, until it is sent or its writer signs out. */

/** @import {Store} from "./outbox_store.js" */

export class Drafts {
  #prefix;
  #store;

  /**
   * @param {number | string} user
   * @param {Store} store
   */
  constructor(user, store) {
    this.#prefix = `multichat.draft.${user}.`;
    this.#store = store;
  }

  /** @param {string} room */
  of(room) {
    return this.#store.getItem(this.#prefix + room) ?? "";
  }

  /**
   * @param {string} room
   * @param {string} text
   */
  keep(room, text) {
    if (text === "") return this.#store.removeItem(this.#prefix + room);
    try {
      this.#store.setItem(this.#prefix + room, text);
    } catch {
      // Full, or closed to us: it lives in its box as long as the pane is open.
    }
  }

  /** Forget everything, at sign-out. */
  clear() {
    const keys = Array.from({ length: this.#store.length }, (_, i) => this.#store.key(i) ?? "");
    for (const key of keys) if (key.startsWith(this.#prefix)) this.#store.removeItem(key);
  }
}
