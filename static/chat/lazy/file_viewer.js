/** Shows the images of a log one after the other, large, in a dialog: the arrows walk, Escape closes. */

import { part, setText } from "../dom/templates.js";
import { gettext } from "../model/language.js";

/** @type {Viewer | undefined} */
let viewer;

/** @param {Element} thumbnail the link of an image in a log */
export function view(thumbnail) {
  viewer ??= new Viewer();
  viewer.open(/** @type {HTMLAnchorElement} */ (thumbnail));
}

class Viewer {
  #dialog = /** @type {HTMLDialogElement} */ (part(document, "file-viewer"));
  #image = /** @type {HTMLImageElement} */ (part(this.#dialog, "image"));
  /** @type {HTMLAnchorElement[]} */
  #links = [];
  #index = 0;

  constructor() {
    const dialog = this.#dialog;
    part(dialog, "close").addEventListener("click", () => dialog.close());
    part(dialog, "previous").addEventListener("click", () => this.#go(-1));
    part(dialog, "next").addEventListener("click", () => this.#go(1));
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#go(step * (getComputedStyle(dialog).direction === "rtl" ? -1 : 1));
    });
    // Whatever closes it, nothing of a room is left in it.
    dialog.addEventListener("close", () => {
      this.#links = [];
      this.#image.removeAttribute("src");
      this.#image.alt = "";
      for (const name of ["name", "place"]) part(dialog, name).textContent = "";
    });
  }

  /** @param {HTMLAnchorElement} link */
  open(link) {
    const log = link.closest("message-list");
    if (!log || document.querySelector("dialog:modal")) return;
    this.#links = [...log.querySelectorAll("a")].filter((other) => other.matches(".thumb"));
    this.#index = this.#links.indexOf(link);
    this.#dialog.showModal();
    this.#go(0);
    part(this.#dialog, "close").focus();
  }

  /** @param {number} step */
  #go(step) {
    const index = this.#index + step;
    const link = this.#links[index];
    if (!link) return;
    this.#index = index;
    const image = this.#image;
    // Not the image before under the name of this one.
    image.removeAttribute("src");
    image.src = link.href;
    image.alt = link.title;
    setText(part(this.#dialog, "name"), link.title);
    setText(
      part(this.#dialog, "place"),
      gettext("{number} of {count}", { number: index + 1, count: this.#links.length }),
    );
    const download = /** @type {HTMLAnchorElement} */ (part(this.#dialog, "download"));
    download.href = link.href;
    download.download = link.title;
    for (const [name, by] of /** @type {[string, number][]} */ ([
      ["previous", -1],
      ["next", 1],
    ])) {
      const button = /** @type {HTMLButtonElement} */ (part(this.#dialog, name));
      // Not disabled, because a disabled button would lose the focus.
      button.setAttribute("aria-disabled", String(!this.#links[index + by]));
    }
  }
}
