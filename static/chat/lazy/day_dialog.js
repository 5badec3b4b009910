/** The dialog that asks for a day; Escape closes it. */

import { part } from "../dom/templates.js";

export class DayDialog {
  #dialog;
  /** @type {(start: Date) => void} */
  #chosen = () => {};
  #cancelled = () => {};

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    part(dialog, "cancel").addEventListener("click", () => {
      this.#cancelled();
      this.close();
    });
    dialog.addEventListener("cancel", () => this.#cancelled()); // Escape
    part(dialog, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.showTrouble("");
      // Without a zone, Date uses the reader's, in which the day begins.
      this.#chosen(new Date(`${this.#day.value}T00:00`));
    });
  }

  get #day() {
    return /** @type {HTMLInputElement} */ (part(this.#dialog, "day"));
  }

  /**
   * @param {string} title
   * @param {{chosen: (start: Date) => void, cancelled: () => void}} answers `chosen` gets the day's first moment in the reader's zone
   */
  open(title, { chosen, cancelled }) {
    this.#chosen = chosen;
    this.#cancelled = cancelled;
    part(this.#dialog, "room").textContent = title;
    this.showTrouble("");
    this.#dialog.showModal();
    this.#day.focus();
  }

  /** Show why the jump failed or waits. @param {string} sentence */
  showTrouble(sentence) {
    const trouble = part(this.#dialog, "trouble");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }

  close() {
    this.#dialog.close();
  }
}
