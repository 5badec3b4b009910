/** Asks once before something that cannot be taken back. The focus is on the answer that changes nothing. */

import { part } from "../dom/templates.js";

export class ConfirmDialog {
  #dialog;
  #confirmed = () => {};

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    part(dialog, "cancel").addEventListener("click", () => dialog.close());
    part(dialog, "confirm").addEventListener("click", () => {
      dialog.close();
      this.#confirmed();
    });
  }

  /**
   * @param {string} question
   * @param {{text: string, label: string, confirmed: () => void}} what `text`: what it is about; `label`: of the button that does it
   */
  ask(question, { text, label, confirmed }) {
    this.#confirmed = confirmed;
    part(this.#dialog, "question").textContent = question;
    part(this.#dialog, "words").textContent = text;
    part(this.#dialog, "confirm").textContent = label;
    this.#dialog.showModal();
    part(this.#dialog, "cancel").focus();
  }
}
