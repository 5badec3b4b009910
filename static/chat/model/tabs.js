/** This tab's id, and whether another tab is still open: each tab holds a lock named after its id until it is closed. */

import { uuid } from "./outbox_store.js";

const KEY = "multichat.tab";
/** The lock of a reloaded page becomes free a moment after the new page has started. */
const RELOADED_WITHIN_MS = 2_000;

export class Tabs {
  id = uuid();
  /** The id before a reload; in a duplicated tab, the id of the original. @type {string | null} */
  previous = null;
  #locks;

  /**
   * @param {LockManager | undefined} locks undefined over plain HTTP
   * @param {() => Storage | null | undefined} session may throw where storage is not allowed
   */
  constructor(locks, session = () => sessionStorage) {
    this.#locks = locks;
    try {
      this.previous = session()?.getItem(KEY) ?? null;
      session()?.setItem(KEY, this.id);
    } catch {
      // A reload will then find this tab's drafts as those of a closed tab.
    }
    this.#request(this.id, {}, () => new Promise(() => {}));
  }

  /**
   * Whether a tab was closed. Without locks, only the page before a reload is known to be closed.
   * @param {string} tab
   * @returns {Promise<boolean>}
   */
  async isClosed(tab) {
    if (tab === this.id) return false;
    if (tab === "") return true; // drafts for a replaced log belong to no tab
    if (this.#locks === undefined) return tab === this.previous;
    const options =
      tab === this.previous
        ? { signal: AbortSignal.timeout(RELOADED_WITHIN_MS) }
        : { ifAvailable: true };
    return (await this.#request(tab, options, (lock) => lock !== null)) ?? false;
  }

  /**
   * @template T
   * @param {string} tab
   * @param {LockOptions} options
   * @param {(lock: Lock | null) => T | Promise<T>} callback
   * @returns {Promise<T | undefined>} undefined: refused, or not granted in time
   */
  async #request(tab, options, callback) {
    try {
      return await this.#locks?.request(`${KEY}.${tab}`, options, callback);
    } catch {
      return undefined;
    }
  }
}
