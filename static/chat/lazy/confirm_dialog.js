/** Asks once before something that cannot be taken back. The focus is on the answer that changes nothing. */

import { part } from "../dom/templates.js";

/** `text`: what it is about; `label`: of the button that does it. @typedef {{text: string, label: string, confirmed: () => void}} Asked */

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

  /** @param {string} question @param {Asked} what */
  ask(question, { text, label, confirmed }) {
    this.#confirmed = confirmed;
    part(this.#dialog, "question").textContent = question;
    part(this.#dialog, "words").textContent = text;
    part(this.#dialog, "confirm").textContent = label;
    this.#dialog.showModal();
    part(this.#dialog, "cancel").focus();
  }
}
