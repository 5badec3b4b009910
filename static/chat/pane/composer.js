/** <room-composer>: where a text is written. Enter sends, Shift+Enter breaks the line. */

import { guardLength } from "../dom/length_guard.js";
import { part } from "../dom/templates.js";
import { refusalOf } from "../model/protocol.js";
import { EDIT_DELETED, editedWords, refusalSentence } from "../model/strings.js";

/** @import {Draft} from "../model/drafts.js" */
/** @import {Limits, Room} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */

/** What old browsers give as keyCode while an input method composes. */
const KEY_CODE_COMPOSING = 229;

/** `original`: what the message was when the edit began; `saving`: what the server is asked to make of it. @typedef {{seq: number, original: string, saving: string | null, isDeleted: boolean}} Edit */
/**
 * What a composer asks for. `draft` and `keepEdit` are told at every change, so that nothing typed is only in the box.
 * @typedef {{
 *   sendMessage: (text: string) => void,
 *   saveDraft: (text: string, id?: string) => void,
 *   unsavedEdits: () => Draft[],
 *   saveEditDraft: (text: string, edit: {seq: number, original: string, isOpen: boolean}) => void,
 *   dropEditDraft: (seq: number) => void,
 *   saveEdit: (seq: number, text: string) => void,
 *   editLast: () => void,
 *   messageOf: (seq: number) => Message | undefined,
 * }} Wishes
 */

export class Composer extends HTMLElement {
  // Given by `begin`, before anything can happen here.
  #actions = /** @type {Wishes} */ (/** @type {unknown} */ (null));
  #limits = /** @type {Limits} */ (/** @type {unknown} */ (null));
  /** @type {Edit | null} */
  #edit = null;
  /** The draft that waits for the end of the edit. */
  #draftDuringEdit = "";
  #width = 0;
  #resizes = new ResizeObserver(() => {
    // Its height is ours to set; only another width breaks the lines anew.
    if (this.#box.clientWidth !== this.#width) this.#fitHeight();
  });

  /**
   * @param {Limits} limits
   * @param {Wishes} wishes
   */
  configure(limits, wishes) {
    const box = this.#box;
    this.#actions = wishes;
    this.#limits = limits;
    guardLength(box, {
      most: limits.bytes, // a character takes a byte at least
      refused: (text) => this.#showReason(refusalSentence("MESSAGE_TOO_LONG", limits, text)),
    });
    box.addEventListener("input", () => this.#textChanged());
    box.addEventListener("keydown", (event) => {
      if (this.#handleKey(event)) event.preventDefault();
    });
    this.#onClick("cancel", () => this.#leaveEdit());
    this.#onClick("send", () => this.#submit());
    this.#onClick("resume", () => {
      const draft = this.#unfinished;
      if (draft?.edit) this.editMessage({ ...draft.edit, text: draft.edit.original }, draft.text);
    });
    this.#onClick("drop", () => {
      const draft = this.#unfinished;
      if (draft?.edit) wishes.dropEditDraft(draft.edit.seq);
      this.showEdits();
    });
    const open = wishes.unsavedEdits().find(({ edit }) => edit?.isOpen);
    if (open?.edit) this.#startEdit({ ...open.edit, text: open.edit.original }, open.text);
    this.showEdits();
  }

  connectedCallback() {
    this.#resizes.observe(this.#box);
    this.#fitHeight();
  }

  disconnectedCallback() {
    this.#resizes.disconnect();
  }

  /** Name the room that the text goes to. @param {Room} room */
  showRoom({ title, staff_only }) {
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
    this.showDraft(text);
    this.#actions.saveDraft(text);
  }

  /** The draft, also while a message is edited. */
  get draft() {
    return this.#edit ? this.#draftDuringEdit : this.#box.value;
  }

  /** Show the draft as it is kept. @param {string} text */
  showDraft(text) {
    if (this.draft === text) return;
    if (this.#edit) this.#draftDuringEdit = text;
    else this.#box.value = text;
    this.#fitHeight();
  }

  /** The room has another log now: what stood here was written for the one before. @param {string} text */
  resetDraft(text) {
    this.#edit = null;
    this.#box.value = text;
    this.#showReason("");
    this.showEdits();
  }

  /**
   * Put a text that was not sent back into the box, before what is there.
   * @param {string} text
   * @param {string} [id] it may have been sent under this id already
   */
  putBack(text, id) {
    const { draft } = this;
    const whole = [text, draft].filter(Boolean).join("\n");
    this.showDraft(whole);
    this.#actions.saveDraft(whole, draft === "" ? id : undefined);
    this.focus();
  }

  /**
   * Edit a message here; the draft comes back when that is done.
   * @param {{seq: number, text: string}} message
   * @param {string} text what it was made into so far
   */
  editMessage(message, text) {
    if (this.#edit?.seq !== message.seq) {
      this.#leaveEdit();
      this.#startEdit(message, text);
      if (text !== message.text) this.#keepEdit(true);
      const now = this.#actions.messageOf(message.seq);
      if (now) this.messageChanged(now);
    }
    this.focus();
  }

  /** The server saved an edit. @param {number} seq @param {string} text */
  editSaved(seq, text) {
    if (this.#edit?.seq === seq && this.#box.value === text) this.#endEdit();
    else this.showEdits();
  }

  /** An edit could not be saved: the text stays, to be saved again. @param {number} seq */
  editFailed(seq) {
    if (this.#edit?.seq !== seq) return;
    this.#edit.saving = null;
    this.#box.readOnly = false;
  }

  /** A message as it is now: it may be the one that is edited here. @param {Message} message */
  messageChanged({ seq, text, deleted }) {
    const edit = this.#edit;
    if (edit?.seq !== seq) return;
    edit.isDeleted = deleted;
    if (deleted) return this.#showReason(EDIT_DELETED);
    if (text === null || text === edit.original || text === edit.saving) return;
    edit.original = text;
    // It was saved, and the page did not live to hear of it.
    if (text !== this.#box.value) return this.#showReason(editedWords(text));
    this.#actions.dropEditDraft(seq);
    this.#endEdit();
  }

  /** Show what is edited, and whether there is another edit that was not finished. */
  showEdits() {
    part(this, "editing").hidden = this.#edit === null;
    const button = part(this, "send");
    button.ariaLabel = button.title = this.#edit === null ? "Send" : "Save";
    part(this, "unfinished").hidden = this.#unfinished === undefined;
    this.#box.readOnly = this.#edit !== null && this.#edit.saving !== null;
    this.#fitHeight();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** @param {string} name of a button @param {() => void} act */
  #onClick(name, act) {
    part(this, name).addEventListener("click", () => {
      act();
      this.focus();
    });
  }

  /** The last edit that was left without being saved. */
  get #unfinished() {
    return this.#actions.unsavedEdits().find(({ edit }) => edit?.seq !== this.#edit?.seq);
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} whether the key has done its work
   */
  #handleKey(event) {
    // What an input method composes belongs to it, and so does every key.
    if (event.isComposing || event.keyCode === KEY_CODE_COMPOSING) return false;
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false;
    if (event.key === "Enter") {
      // A key that is held down opened this pane, or has sent already.
      if (!event.repeat) this.#submit();
      return true;
    }
    if (event.key === "Escape" && this.#edit !== null) {
      this.#leaveEdit();
      return true;
    }
    const isEmpty = this.#box.value === "" && this.#edit === null;
    if (event.key === "ArrowUp" && isEmpty) this.#actions.editLast();
    return event.key === "ArrowUp" && isEmpty;
  }

  /** @param {{seq: number, text: string}} message @param {string} text */
  #startEdit({ seq, text: original }, text) {
    this.#draftDuringEdit = this.draft;
    this.#edit = { seq, original, saving: null, isDeleted: false };
    this.#box.value = text;
    this.showEdits();
  }

  /** Its text stays, to be taken up again. */
  #leaveEdit() {
    const edit = this.#edit;
    if (edit === null) return;
    if (this.#box.value === edit.original) this.#actions.dropEditDraft(edit.seq);
    else this.#keepEdit(false);
    this.#endEdit();
  }

  #endEdit() {
    this.#edit = null;
    this.#box.value = this.#draftDuringEdit;
    this.#showReason("");
    this.showEdits();
  }

  /** @param {boolean} isOpen */
  #keepEdit(isOpen) {
    const { seq, original } = /** @type {Edit} */ (this.#edit);
    this.#actions.saveEditDraft(this.#box.value, { seq, original, isOpen });
  }

  /** A text that would be refused stays, with the reason. */
  #submit() {
    const text = this.#box.value;
    const edit = this.#edit;
    if (edit !== null && edit.saving !== null) return; // until it is answered
    if (edit?.isDeleted) return this.#showReason(EDIT_DELETED);
    const code = refusalOf(text, this.#limits);
    if (code === "MESSAGE_EMPTY" && edit === null) return; // a slip of the hand
    this.#showReason(code === null ? "" : refusalSentence(code, this.#limits, text));
    if (code !== null) return;
    if (edit === null) {
      this.#actions.sendMessage(text); // stored in the outbox before it leaves the box
      this.text = "";
      return;
    }
    edit.saving = text;
    this.#keepEdit(true);
    this.showEdits();
    this.#actions.saveEdit(edit.seq, text);
  }

  #textChanged() {
    if (this.#edit === null) this.#actions.saveDraft(this.#box.value);
    else this.#keepEdit(true);
    this.#showReason("");
    this.#fitHeight();
  }

  /** @param {string} sentence */
  #showReason(sentence) {
    const reason = part(this, "reason");
    reason.hidden = sentence === "";
    reason.textContent = sentence;
  }

  /** As high as its text, where CSS alone cannot do it; CSS has the limit. A box that is not shown has no height to take. */
  #fitHeight() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#width = this.#box.clientWidth;
    if (this.#box.offsetParent === null) return;
    const { style } = this.#box;
    style.height = "auto";
    style.height = `${this.#box.scrollHeight}px`;
  }
}
