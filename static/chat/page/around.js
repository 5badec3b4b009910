/** The button that says how many people are around. The list of them is loaded when it is first used. */

import { LazyPart } from "../dom/lazy_part.js";
import { setText } from "../dom/templates.js";
import { ngettext } from "../model/language.js";

/** @import {AroundSource} from "../lazy/around_list.js" */

export class WhoIsAround {
  /** Not there if the site has turned it off. @type {HTMLElement | null} */
  #button = document.querySelector("[data-part=around]");
  #list;

  /** @param {AroundSource} source @param {() => void} onfailed */
  constructor(source, onfailed) {
    this.#list = new LazyPart(
      async () => (await import("lazy/around_list")).createAroundList(source),
      onfailed,
    );
    const button = this.#button;
    button?.addEventListener("click", () => this.#list.use((list) => void list.open(button)));
  }

  /** @param {number} count */
  show(count) {
    if (this.#button) setText(this.#button, ngettext("{count} around", "{count} around", count));
  }

  /** Another person may use the page now. */
  clear() {
    this.#list.loaded?.clear();
  }
}
