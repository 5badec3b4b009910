/** A part of the page that is loaded when it is first used, together with the style sheet of all such parts. */

import { copyElement } from "./templates.js";

/** Raised when what is being loaded must not be shown any more. */
let cancelled = 0;
/** @type {Promise<void> | null} */
let sheet = null;

/** @template T */
export class LazyPart {
  #import;
  #onfailed;
  /** @type {Promise<T> | null} */
  #loading = null;
  /** The part, once it is loaded. @type {T | null} */
  loaded = null;

  /** @param {() => Promise<T>} load @param {() => void} [onfailed] `use` could not load it */
  constructor(load, onfailed = () => {}) {
    this.#import = load;
    this.#onfailed = onfailed;
  }

  /** Show nothing of what is being loaded now: the user is signed out, or lost a room. */
  static cancelAll() {
    cancelled += 1;
  }

  /** Load the part. A load that failed is tried again by the next one. @returns {Promise<T>} */
  load() {
    this.#loading ??= Promise.all([this.#import(), loadSheet()])
      .then(([loaded]) => {
        this.loaded = loaded;
        return loaded;
      })
      .catch((error) => {
        this.#loading = null;
        throw error;
      });
    return this.#loading;
  }

  /**
   * Load the part for a user who waits for it. What is typed meanwhile goes where the focus is, so the focus must not
   * move when a key was pressed or the focus was moved by then.
   * @returns {Promise<T | null>} null: the user did something else meanwhile
   */
  async loadForUser() {
    const { activeElement } = document;
    const before = cancelled;
    let isInterrupted = false;
    const interrupt = (/** @type {KeyboardEvent} */ { repeat }) => {
      isInterrupted ||= !repeat;
    };
    if (this.loaded === null) addEventListener("keydown", interrupt, true);
    try {
      const loaded = await this.load();
      const isWaiting = document.activeElement === activeElement && cancelled === before;
      return isWaiting && !isInterrupted ? loaded : null;
    } finally {
      removeEventListener("keydown", interrupt, true);
    }
  }

  /** Load the part if needed, and use it unless the user did something else meanwhile. @param {(part: T) => void} use */
  async use(use) {
    /** @type {T | null} */
    let part;
    try {
      part = this.loaded ?? (await this.loadForUser());
    } catch {
      return this.#onfailed();
    }
    if (part !== null) use(part);
  }
}

function loadSheet() {
  sheet ??= new Promise((resolve, reject) => {
    const link = copyElement("lazy-styles-template");
    link.addEventListener("load", () => resolve());
    link.addEventListener("error", () => {
      sheet = null;
      link.remove();
      reject(new Error("a style sheet could not be loaded"));
    });
    document.head.append(link);
  });
  return sheet;
}
