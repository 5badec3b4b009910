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
  /** The message that is edited, and the draft that waits for its end. @type {{draft: string, save: (text: string) => void} | null} */
  #edit = null;

  /**
   * @param {Limits} limits
   * @param {{send: (text: string) => void, draft: (text: string) => void, editLast: () => void}} wishes `draft` is told what is written and not sent
   */
  begin(limits, { send, draft, editLast }) {
    const box = this.#box;
    this.#draft = draft;
    box.addEventListener("input", () => this.#changed());
    box.addEventListener("keydown", (event) => {
      const isEmpty = box.value === "" && this.#edit === null;
      if (isSend(event)) this.#submit(limits, send);
      else if (event.key === "Escape" && this.#edit !== null) this.endEdit();
      else if (event.key === "ArrowUp" && isEmpty && !event.altKey) editLast();
      else return;
      event.preventDefault();
    });
    // Also when it is shown for the first time with a draft in it, and in a pane of another width.
    new ResizeObserver(() => this.#fit()).observe(box);
    part(this, "cancel").addEventListener("click", () => {
      this.endEdit();
      box.focus();
    });
    part(this, "send").addEventListener("click", () => {
      this.#submit(limits, send);
      box.focus();
    });
  }

  /** Name the room that the text goes to. @param {Room} room */
  rename({ title, staff_only }) {
    const box = this.#box;
    part(this, "to").textContent = title;
    part(this, "to-staff").hidden = !staff_only;
    if (staff_only) box.setAttribute("aria-description", "Only staff reads this");
    else box.removeAttribute("aria-description");
    box.setAttribute("aria-label", `Message ${title}`);
    box.placeholder = `Message ${title}`;
  }

  get #box() {
    return /** @type {HTMLTextAreaElement} */ (part(this, "text"));
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    if (this.#edit) this.#edit.draft = text;
    else this.#box.value = text;
    this.#draft(text);
    this.#fit();
  }

  /** The draft, also while a message is edited. */
  get draft() {
    return this.#edit?.draft ?? this.#box.value;
  }

  /**
   * Edit a message here; the draft comes back when that is done.
   * @param {string} text
   * @param {(text: string) => void} save answered by `endEdit`, or by `keepEdit` when it failed
   * @returns {object} this edit, as those two ask for it: another may have begun since
   */
  beginEdit(text, save) {
    this.#edit = { draft: this.draft, save };
    this.#box.value = text;
    this.#showEdit();
    this.focus();
    return this.#edit;
  }

  /** It failed: the text stays, to be saved again. @param {object} edit */
  keepEdit(edit) {
    if (edit === this.#edit) this.#box.readOnly = false;
  }

  /** @param {object | null} edit */
  endEdit(edit = this.#edit) {
    if (this.#edit === null || edit !== this.#edit) return;
    this.#box.value = this.#edit.draft;
    this.#edit = null;
    this.#say("");
    this.#showEdit();
  }

  #showEdit() {
    part(this, "editing").hidden = this.#edit === null;
    const button = part(this, "send");
    button.ariaLabel = button.title = this.#edit === null ? "Send" : "Save";
    this.#box.readOnly = false;
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
    if (code === "MESSAGE_EMPTY" && this.#edit === null) return; // a slip of the hand
    this.#say(code === null ? "" : refusalSentence(code, limits, text));
    if (code !== null) return;
    if (this.#edit !== null) {
      this.#box.readOnly = true; // until it is answered
      return this.#edit.save(text);
    }
    send(text); // stored in the outbox before it leaves the box
    this.text = "";
  }

  #changed() {
    if (this.#edit === null) this.#draft(this.#box.value);
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
    // A box that is not shown has no height to go by.
    if (CSS.supports("field-sizing", "content") || this.#box.offsetParent === null) return;
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
