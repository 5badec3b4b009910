/** The settings of a user in this browser: each an item of localStorage, so that tabs do not overwrite each other's. */

/** @import {Store} from "./outbox_store.js" */

/**
 * Every setting and its default. A stored value of another type counts as unset.
 * `clickCloses`: a click on an open room closes it. `shortcuts`: the user's own chord for a shortcut's name, "" for none.
 * `showsTyping`: other users see that this one is writing, and this one sees them.
 * `notifies`: this browser shows notifications; `pausedUntil`: none until then, in milliseconds. `pushes`: also while the page is closed; `pushesText`: with the text.
 * `recentEmoji`: those that the user chose last, the latest first.
 */
export const DEFAULTS = {
  clickCloses: false,
  shortcuts: /** @type {Record<string, string>} */ ({}),
  showsTyping: true,
  notifies: false,
  pausedUntil: 0,
  pushes: false,
  pushesText: false,
  recentEmoji: /** @type {string[]} */ ([]),
};

/** @typedef {typeof DEFAULTS} Values */
/** @typedef {keyof Values} Name */

export class Preferences {
  #prefix;
  #store;
  /** What the storage refused, known as long as the page is open. @type {Map<Name, unknown>} */
  #unstored = new Map();
  /** @type {Map<Name, Set<() => void>>} */
  #listeners = new Map();

  /**
   * @param {number | string} user
   * @param {Store} store
   */
  constructor(user, store) {
    this.#prefix = `multichat.preference.${user}.`;
    this.#store = store;
  }

  /**
   * @template {Name} N
   * @param {N} name
   * @returns {Values[N]}
   */
  get(name) {
    const value = this.#unstored.has(name)
      ? this.#unstored.get(name)
      : parse(this.#store.getItem(this.#prefix + name));
    return /** @type {Values[N]} */ (isLike(value, DEFAULTS[name]) ? value : DEFAULTS[name]);
  }

  /**
   * Keep a setting and call its listeners, in the other tabs too.
   * @template {Name} N
   * @param {N} name
   * @param {Values[N]} value
   */
  set(name, value) {
    this.#unstored.delete(name);
    try {
      this.#store.setItem(this.#prefix + name, JSON.stringify(value));
    } catch {
      this.#unstored.set(name, value); // full or not allowed
    }
    this.#changed(name);
  }

  /** Call `act` now and at each change of the setting. @param {Name} name @param {() => void} act */
  follow(name, act) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(act));
    act();
  }

  /** Another tab changed the storage. @param {string | null} key null: the user emptied the storage */
  storageChanged(key) {
    for (const name of /** @type {Name[]} */ (Object.keys(DEFAULTS)))
      if (key === null || key === this.#prefix + name) {
        this.#unstored.delete(name);
        this.#changed(name);
      }
  }

  /** @param {Name} name */
  #changed(name) {
    for (const act of this.#listeners.get(name) ?? []) act();
  }
}

/** @param {string | null} text @returns {unknown} */
function parse(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}

/** @param {unknown} value @param {unknown} model */
function isLike(value, model) {
  return (
    value !== null && typeof value === typeof model && Array.isArray(value) === Array.isArray(model)
  );
}
