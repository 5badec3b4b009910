/** Announces messages to screen readers: each once, author first, and no more than can be read out. */

import { gettext } from "../model/language.js";
import { newMessagesWords } from "../model/strings.js";

const EVERY_MS = 1_500;
const MAX_MESSAGES = 3;
/** A screen reader reads about 15 characters a second, and the log has the whole message. */
const MAX_LENGTH = 300;

export class Announcer {
  #region;
  /** @type {{room: string, text: string}[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /** @param {HTMLElement} region a polite live region, for browsers without ariaNotify */
  constructor(region) {
    this.#region = region;
  }

  /**
   * @param {string} author
   * @param {string} room
   * @param {string} text
   */
  announce(author, room, text) {
    const start = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
    const words = gettext("{author} in {room}: {text}", { author, room, text: start });
    this.#waiting.push({ room, text: words });
    this.#timer ??= setTimeout(() => this.#announceWaiting(), 100);
  }

  /** Another person may use the page now. */
  clear() {
    this.#waiting = [];
    this.#region.replaceChildren();
  }

  #announceWaiting() {
    const waiting = this.#waiting.splice(0);
    this.#timer = waiting.length ? setTimeout(() => this.#announceWaiting(), EVERY_MS) : null;
    if (waiting.length)
      this.#notify(
        waiting.length <= MAX_MESSAGES ? waiting.map(({ text }) => text) : summary(waiting),
      );
  }

  /** @param {string[]} lines */
  #notify(lines) {
    const target = /** @type {Document & {ariaNotify?: (text: string) => void}} */ (document);
    if (target.ariaNotify) return target.ariaNotify(lines.join("\n"));
    this.#region.replaceChildren(...lines.map(paragraph));
  }
}

/** @param {{room: string}[]} waiting */
function summary(waiting) {
  const rooms = [...new Set(waiting.map(({ room }) => room))];
  return rooms.map((room) =>
    newMessagesWords(waiting.filter((message) => message.room === room).length, room),
  );
}

/** @param {string} text */
function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}
