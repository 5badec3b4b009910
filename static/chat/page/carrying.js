/** Loads what carries messages between rooms when it is first used: quotes, links to messages, and copies in other rooms. */

import { LazyPart } from "../dom/lazy_part.js";

/** @import {Carrier, CarrierPage} from "../lazy/carrying.js" */

/** @typedef {(carrier: Carrier) => void} Use */

export class Carrying {
  #part;
  #notLoaded;

  /** @param {CarrierPage} page @param {() => void} notLoaded */
  constructor(page, notLoaded) {
    this.#notLoaded = notLoaded;
    this.#part = new LazyPart(
      async () => new (await import("lazy/carrying")).Carrier(page),
      notLoaded,
    );
  }

  get loaded() {
    return this.#part.loaded;
  }

  /** Use it: at once if it is loaded, so that what is shown with a message is shown together with it. @param {Use} use */
  async use(use) {
    if (this.loaded) return use(this.loaded);
    const carrier = await this.#part.load().catch(() => null);
    if (carrier) use(carrier);
    else this.#notLoaded();
  }

  /** Use it for a user who waits for it. @param {Use} use */
  loadForUser(use) {
    this.#part.use(use);
  }
}
