/** This tab's name, and whether the tab that wrote something is still open: each holds a lock of its name while it lives. */

import { uuid } from "./outbox_store.js";

const KEY = "multichat.tab";
/** The lock of the page that was reloaded is free a moment after the next one has begun. */
const RELOADED_WITHIN_MS = 2_000;

export class Tabs {
  id = uuid();
  /** The page that was here before a reload; in a duplicated tab, the one that was duplicated. @type {string | null} */
  previous = null;
  #locks;

  /**
   * @param {LockManager | undefined} locks undefined over plain http
   * @param {() => Storage | null | undefined} session may throw where storage is closed to us
   */
  constructor(locks, session = () => sessionStorage) {
    this.#locks = locks;
    try {
      this.previous = session()?.getItem(KEY) ?? null;
      session()?.setItem(KEY, this.id);
    } catch {
      // Then a reload finds its drafts as those of a closed tab.
    }
    this.#request(this.id, {}, () => new Promise(() => {}));
  }

  /**
   * Whether a tab was closed. Without locks only a reloaded page is known to be gone.
   * @param {string} tab
   * @returns {Promise<boolean>}
   */
  async isClosed(tab) {
    if (tab === this.id) return false;
    if (tab === "") return true; // left behind by a room that was restored
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
