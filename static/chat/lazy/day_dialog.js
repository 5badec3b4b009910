/** The dialog that asks for a day; Escape closes it. */

import { part } from "../dom/templates.js";
import { JUMP_WAITS, noDayWords } from "../model/strings.js";

/** @import {Message} from "../model/room_log.js" */

/** `jump` asks for the messages from a time on, and returns whether it waits for the connection; `found` gets the first of them. @typedef {{jump: (from: string, arrived: (messages: Message[]) => void) => boolean, found: (message: Message) => void, cancelled: () => void}} DayActions */

export class DayDialog {
  #dialog;
  /** @type {DayActions | null} */
  #actions = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    part(dialog, "cancel").addEventListener("click", () => {
      this.#actions?.cancelled();
      dialog.close();
    });
    dialog.addEventListener("cancel", () => this.#actions?.cancelled()); // Escape
    part(dialog, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#showTrouble("");
      // Without a zone, Date uses the reader's, in which the day begins.
      this.#jump(new Date(`${this.#day.value}T00:00`));
    });
  }

  get #day() {
    return /** @type {HTMLInputElement} */ (part(this.#dialog, "day"));
  }

  /** @param {string} title of the room @param {DayActions} actions */
  open(title, actions) {
    this.#actions = actions;
    part(this.#dialog, "room").textContent = title;
    this.#showTrouble("");
    this.#dialog.showModal();
    this.#day.focus();
  }

  /** Jump to the first message on or after a day. @param {Date} start */
  #jump(start) {
    const actions = this.#actions;
    const isWaiting = actions?.jump(start.toISOString(), ([first]) => {
      if (first === undefined) return this.#showTrouble(noDayWords(start));
      this.#dialog.close();
      actions.found(first);
    });
    if (isWaiting) this.#showTrouble(JUMP_WAITS);
  }

  /** Say why the jump failed or waits. @param {string} sentence */
  #showTrouble(sentence) {
    const trouble = part(this.#dialog, "trouble");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}
