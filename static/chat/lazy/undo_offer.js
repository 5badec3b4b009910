/** The Undo button under a composer: takes back the newest message that was sent here in the last seconds. */

import { gettext } from "../model/language.js";

/** @import {Message} from "../model/room_log.js" */

/** A message that can be taken back until a time. @typedef {{message: Message, until: number}} Offer */

export class UndoOffer {
  #button;
  #leave;
  /** The newest last. @type {Offer[]} */
  #offers = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} button with a place for the countdown
   * @param {{undo: (message: Message) => void, leave: () => void}} pane `leave`: the button had the focus and is hidden
   */
  constructor(button, { undo, leave }) {
    this.#button = button;
    this.#leave = leave;
    button.addEventListener("click", () => {
      const offer = this.#offers.pop();
      this.#show();
      if (offer) undo(offer.message);
    });
  }

  /** @param {Message} message @param {number} ms */
  add(message, ms) {
    this.#offers.push({ message, until: Date.now() + ms });
    this.#timer ??= setInterval(() => this.#show(), 1000);
    this.#show();
  }

  /** A message is shown: it may be deleted, or after a restore another one with the number of an offered one. @param {Message} message */
  messageShown({ seq, at, deleted }) {
    const count = this.#offers.length;
    if (count === 0) return;
    this.#offers = this.#offers.filter(
      ({ message }) => message.seq !== seq || (message.at === at && !deleted),
    );
    if (this.#offers.length !== count) this.#show();
  }

  #show() {
    const now = Date.now();
    this.#offers = this.#offers.filter(({ until }) => until > now);
    const last = this.#offers.at(-1);
    const hadFocus = this.#button === document.activeElement;
    this.#button.hidden = last === undefined;
    const countdown = this.#button.querySelector("span");
    const seconds = last ? Math.ceil((last.until - now) / 1000) : 0;
    if (countdown) countdown.textContent = last ? ` ${gettext("{seconds} s", { seconds })}` : "";
    if (last !== undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (hadFocus) this.#leave();
  }
}
