/** Sentences above the panes, for what has no pane. */

import { copyElement, part } from "./templates.js";

export class Notices {
  #box;

  /** @param {HTMLElement} box may have a notice of the server's already */
  constructor(box) {
    this.#box = box;
    box.addEventListener("click", ({ target }) => dismiss(target));
  }

  /**
   * Say something, once.
   * @param {string} sentence
   * @returns {HTMLElement | null} the button that dismisses it
   */
  say(sentence) {
    const said = [...this.#box.children].map((one) => part(one, "sentence").textContent);
    if (said.includes(sentence)) return null;
    const notice = copyElement("notice-template");
    part(notice, "sentence").textContent = sentence;
    this.#box.append(notice);
    return part(notice, "dismiss");
  }
}

/** @param {EventTarget | null} target */
function dismiss(target) {
  const button = target instanceof Element ? target.closest('[data-part="dismiss"]') : null;
  button?.closest(".notice")?.remove();
}
