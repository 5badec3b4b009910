/** The box "Find or jump" above the list. What finds rooms is loaded when the box is first used; what is typed meanwhile stays in the box. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";

/** @import {Switcher, SwitcherActions} from "../lazy/switcher.js" */

export class Finder {
  #form;
  #box;
  #switcher;
  #onfailed;
  /** Whether Enter was pressed since the box got the focus. */
  #isEntered = false;

  /** @param {HTMLFormElement} form @param {SwitcherActions} actions @param {() => void} onfailed */
  constructor(form, actions, onfailed) {
    this.#form = form;
    this.#box = /** @type {HTMLInputElement} */ (part(form, "name"));
    this.#onfailed = onfailed;
    this.#switcher = new LazyPart(async () => {
      const { Switcher } = await import("lazy/switcher");
      return new Switcher(form, actions);
    });
    this.#box.addEventListener("focus", ({ relatedTarget }) => {
      if (!this.#switcher.loaded) this.#load(relatedTarget);
    });
    // On a phone, the box is shown over the page while it is used.
    this.#box.addEventListener("blur", () => {
      this.#isEntered = false;
      form.classList.remove("finding");
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      this.#isEntered = true;
      const switcher = this.#switcher.loaded ?? (await this.#load(null));
      // A user who moved the focus while it was loaded goes on there, and may be back by now.
      if (this.#isEntered) switcher?.submit();
    });
  }

  /** The user pressed the key for it. */
  open() {
    if (this.#switcher.loaded) return this.#switcher.loaded.open();
    this.#form.classList.add("finding");
    this.#box.focus();
    this.#box.select();
  }

  /** @param {EventTarget | null} cameFrom @returns {Promise<Switcher | null>} */
  async #load(cameFrom) {
    try {
      const switcher = await this.#switcher.load();
      switcher.begin(/** @type {Element | null} */ (cameFrom));
      return switcher;
    } catch {
      this.#onfailed();
      return null;
    }
  }
}
