/** Loads the part of the page that carries messages between rooms, when it is first used: quotes, links to messages, and copies in other rooms. */

import { NOT_LOADED } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {Carrier, CarrierPage} from "../lazy/carrying.js" */

/** @typedef {(carrier: Carrier) => void} Use */

export class Carrying {
  #page;
  #notices;
  /** @type {Promise<Carrier> | null} */
  #loading = null;
  /** Set when it is loaded. @type {Carrier | undefined} */
  loaded;
  /** What could not be done, because it could not be loaded. @type {Use[]} */
  #missed = [];

  /** @param {CarrierPage} page @param {Notices} notices */
  constructor(page, notices) {
    this.#page = page;
    this.#notices = notices;
  }

  /** Use it: at once if it is loaded, so that what is shown with a message is shown together with it. @param {Use} use */
  async use(use) {
    if (this.loaded) return use(this.loaded);
    try {
      this.#loading ??= load(this.#page);
      this.loaded = await this.#loading;
    } catch {
      this.#loading = null;
      this.#missed.push(use);
      return this.#notices.show(NOT_LOADED);
    }
    use(this.loaded);
  }

  /** The connection is open again, so what could not be loaded may be. */
  connected() {
    this.loaded?.connected();
    for (const use of this.#missed.splice(0)) this.use(use);
  }
}

/** @param {CarrierPage} page */
async function load(page) {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = import.meta.resolve("lazy/carrying.css");
  const isStyled = new Promise((resolve, reject) => {
    sheet.addEventListener("load", resolve);
    sheet.addEventListener("error", reject);
  });
  document.head.append(sheet);
  const [{ Carrier }] = await Promise.all([import("lazy/carrying"), isStyled]);
  return new Carrier(page);
}
