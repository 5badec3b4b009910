/** The button that says how many people are around. The list of them is loaded when it is first used. */

import { part, setText } from "../dom/templates.js";
import { NOT_LOADED } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {AroundList, AroundSource} from "../lazy/around_list.js" */

export class WhoIsAround {
  #source;
  #notices;
  /** Not there if the site has turned it off. @type {HTMLElement | null} */
  #button = document.querySelector("[data-part=around]");
  /** @type {AroundList | null} */
  #list = null;

  /** @param {AroundSource} source @param {Notices} notices */
  constructor(source, notices) {
    this.#source = source;
    this.#notices = notices;
    this.#button?.addEventListener("click", () => void this.#open());
  }

  /** @param {number} count */
  show(count) {
    if (this.#button) setText(this.#button, `${count} around`);
  }

  /** Another person may use the page now. */
  clear() {
    this.#list?.clear();
  }

  async #open() {
    try {
      const { createAroundList } = await import("lazy/around_list");
      this.#list ??= createAroundList(this.#source);
    } catch {
      return this.#notices.show(NOT_LOADED);
    }
    if (this.#button && !part(document, "panes").hidden) this.#list.open(this.#button);
  }
}
