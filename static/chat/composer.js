/** <room-composer>: where a text is written. Enter sends, Shift+Enter breaks the line. */

import { refusalOf } from "./protocol.js";
import { part } from "./templates.js";
import { refusalSentence } from "./words.js";

/** @import {Limits, Room} from "./protocol.js" */

/** What old browsers give as keyCode while an input method composes. */
const KEY_CODE_COMPOSING = 229;

export class Composer extends HTMLElement {
  /** @type {(text: string) => void} */
  #draft = () => {};

  /**
   * @param {Room} room
   * @param {Limits} limits
   * @param {{send: (text: string) => void, draft: (text: string) => void}} wishes `draft` is told what is written and not sent
   */
  begin({ title, staff_only }, limits, { send, draft }) {
    const box = this.#box;
    this.#draft = draft;
    part(this, "to").textContent = title;
    part(this, "to-staff").hidden = !staff_only;
    if (staff_only) box.setAttribute("aria-description", "Only staff reads this");
    box.setAttribute("aria-label", `Message ${title}`);
    box.placeholder = `Message ${title}`;
    box.addEventListener("input", () => this.#changed());
    box.addEventListener("keydown", (event) => {
      if (!isSend(event)) return;
      event.preventDefault();
      this.#submit(limits, send);
    });
    part(this, "send").addEventListener("click", () => {
      this.#submit(limits, send);
      box.focus();
    });
  }

  get #box() {
    return /** @type {HTMLTextAreaElement} */ (part(this, "text"));
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    this.#box.value = text;
    this.#draft(text);
    this.#fit();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /**
   * A text that would be refused stays, with the reason.
   * @param {Limits} limits
   * @param {(text: string) => void} send
   */
  #submit(limits, send) {
    const text = this.#box.value;
    const code = refusalOf(text, limits);
    this.#say(code === null ? "" : refusalSentence(code, limits));
    if (code !== null) return;
    send(text); // stored in the outbox before it leaves the box
    this.text = "";
  }

  #changed() {
    this.#draft(this.#box.value);
    this.#say("");
    this.#fit();
  }

  /** @param {string} sentence */
  #say(sentence) {
    const reason = part(this, "reason");
    reason.hidden = sentence === "";
    reason.textContent = sentence;
  }

  /** As high as its text, where CSS alone cannot do it; CSS has the limit. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    const { style } = this.#box;
    style.height = "auto";
    style.height = `${this.#box.scrollHeight}px`;
  }
}

/** @param {KeyboardEvent} event */
function isSend(event) {
  const isComposing = event.isComposing || event.keyCode === KEY_CODE_COMPOSING;
  return event.key === "Enter" && !event.shiftKey && !isComposing;
}
