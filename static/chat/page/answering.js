/** Loads the part of the page that shows reactions and replies, when there are any. */

import { LazyPart } from "../dom/lazy_part.js";
import { keysOf } from "../model/outbox_store.js";
import { storedAt } from "../model/reactions.js";

/** @import {Answered, AnswerPage, Answers} from "../lazy/answers.js" */
/** @import {MessageList} from "../log/message_list.js" */

export class Answering {
  /** @type {LazyPart<Answers>} */
  #part;
  #isLoading = false;
  /** The user signs out: keep nothing that is not acknowledged. */
  clearStorage = () => {};

  /** @param {AnswerPage} page @param {() => void} onfailed */
  constructor(page, onfailed) {
    this.#part = new LazyPart(async () => {
      const { Answers } = await import("lazy/answers");
      return new Answers(page);
    }, onfailed);
    const stored = () => keysOf(page.store, storedAt(page.me.id));
    // It also hears long presses.
    if (matchMedia("(any-pointer: coarse)").matches || stored()[0]) this.#showAllSoon();
    this.clearStorage = () => {
      for (const key of stored()) page.store.removeItem(key);
    };
  }

  get loaded() {
    return this.#part.loaded;
  }

  /** @param {string} room @param {MessageList} list @param {HTMLElement} element @param {Answered} message */
  show(room, list, element, message) {
    if (this.loaded) this.loaded.show(room, list, element, message);
    else this.#showAllSoon();
  }

  /** @param {string} room */
  showExtras(room) {
    this.#part.load().then(
      (answers) => answers.showExtras(room),
      () => {},
    );
  }

  /** @param {string} room @param {HTMLElement} anchor @param {number} seq */
  react(room, anchor, seq) {
    this.#part.use((answers) => answers.react(room, anchor, seq));
  }

  /** The connection is open. What could not be loaded may be now. */
  connected() {
    if (this.loaded) this.loaded.connected();
    else if (this.#isLoading) this.#load();
  }

  #showAllSoon() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#load();
  }

  #load() {
    this.#part.load().then(
      (answers) => answers.showAll(),
      () => {},
    );
  }
}
