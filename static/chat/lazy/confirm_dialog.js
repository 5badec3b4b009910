/** Asks once before something that cannot be taken back. The focus is on the answer that changes nothing. */

import { part } from "../dom/templates.js";

/** `text`: what it is about; `label`: of the button that does it; `other`: another answer that does less. @typedef {{text: string, label: string, confirmed: () => void, other?: {label: string, act: () => void} | undefined}} Asked */

export class ConfirmDialog {
  #dialog;
  #confirmed = () => {};
  #other = () => {};

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    part(dialog, "cancel").addEventListener("click", () => dialog.close());
    part(dialog, "confirm").addEventListener("click", () => {
      dialog.close();
      this.#confirmed();
    });
    part(dialog, "other").addEventListener("click", () => {
      dialog.close();
      this.#other();
    });
  }

  /** @param {string} question @param {Asked} what */
  ask(question, { text, label, confirmed, other }) {
    this.#confirmed = confirmed;
    part(this.#dialog, "question").textContent = question;
    part(this.#dialog, "words").textContent = text;
    part(this.#dialog, "confirm").textContent = label;
    const button = part(this.#dialog, "other");
    button.hidden = other === undefined;
    button.textContent = other?.label ?? "";
    this.#other = other?.act ?? (() => {});
    this.#dialog.showModal();
    part(this.#dialog, "cancel").focus();
  }
}
