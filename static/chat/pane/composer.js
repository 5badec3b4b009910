/** <room-composer>: the box in which messages are written and edited. Enter sends, Shift+Enter breaks the line. */

import { LazyPart } from "../dom/lazy_part.js";
import { guardLength } from "../dom/length_guard.js";
import { part, setLine } from "../dom/templates.js";
import { isComposing, replaceText } from "../dom/text_box.js";
import { sameExtras } from "../model/extras.js";
import { gettext, ngettext } from "../model/language.js";
import { ALERT, MESSAGE, refusalOf, WARNING } from "../model/protocol.js";
import { EDIT_DELETED, editedWords, NOT_LOADED, refusalSentence } from "../model/strings.js";
import { TypingSignal } from "../model/typing.js";

/** @import {Draft} from "../model/drafts.js" */
/** @import {Extras} from "../model/extras.js" */
/** @import {FileFacts} from "../model/files.js" */
/** @import {Attached, Limits, Room} from "../model/protocol.js" */
/** @import {Completion} from "../lazy/completion.js" */
/** @import {Source} from "../model/completion.js" */
/** @import {Message} from "../model/room_log.js" */

/** A word that begins with one of these signs can be completed. The list of choices is loaded when one is first typed. */
const SIGN = /[@#:]/;
const completion = new LazyPart(async () => (await import("lazy/completion")).Completion);

/** `original`: the message when the edit began; `across`: shared by its copies in other rooms; `saving`: the text that the server was asked to save. @typedef {{seq: number, original: string, across?: string | undefined, saving: string | null, isDeleted: boolean}} Edit */
/**
 * What a composer can do. It calls `saveDraft` and `saveEditDraft` at every change, so that nothing typed is only in the box.
 * @typedef {{
 *   sendMessage: (text: string, type: number, extras: (Extras & {files?: FileFacts[]}) | null) => void,
 *   sendWithExtras: () => void,
 *   showExtras: () => void,
 *   chooseRooms: () => void,
 *   choices: Source,
 *   sayTyping: () => void,
 *   chooseEmoji: (button: HTMLElement) => Promise<string | null>,
 *   saveDraft: (text: string, type: number, id?: string) => void,
 *   unsavedEdits: () => Draft[],
 *   saveEditDraft: (text: string, edit: {seq: number, original: string, across?: string | undefined, isOpen: boolean}) => void,
 *   dropEditDraft: (seq: number) => void,
 *   saveEdit: (edited: {seq: number, across?: string | undefined}, text: string) => void,
 *   editLast: () => void,
 *   messageOf: (seq: number) => Message | undefined,
 * }} ComposerActions
 */

export class Composer extends HTMLElement {
  // Set by `configure`, before any event can arrive.
  #actions = /** @type {ComposerActions} */ (/** @type {unknown} */ (null));
  #limits = /** @type {Limits} */ (/** @type {unknown} */ (null));
  /** @type {Edit | null} */
  #edit = null;
  /** Messages whose edits are being saved while the box has the next message. @type {Set<number>} */
  #saving = new Set();
  /** @type {Extras | null} */
  #extras = null;
  /** The draft while a message is being edited in the box. */
  #draftDuringEdit = "";
  #typing = new TypingSignal(() => this.#actions.sayTyping());
  /** @type {Completion | null} */
  #completion = null;
  #width = 0;
  /** The files that are sent with the text (lazy/attachments.js). @type {Attached | null} */
  attached = null;
  #resizes = new ResizeObserver(() => {
    // The height is set here, and only another width changes the line breaks.
    if (this.#box.clientWidth !== this.#width) this.#fitHeight();
  });

  /**
   * @param {Limits} limits
   * @param {ComposerActions} actions
   */
  configure(limits, actions) {
    const box = this.#box;
    this.#actions = actions;
    this.#limits = limits;
    guardLength(box, {
      maxLength: limits.bytes, // a character takes at least one byte
      onrefused: (text) => this.#showReason(refusalSentence("MESSAGE_TOO_LONG", limits, text)),
    });
    box.addEventListener("input", (event) => {
      this.#textChanged();
      const isSettled = !(/** @type {InputEvent} */ (event).isComposing);
      if (isSettled && this.#completion === null && SIGN.test(box.value)) this.#loadCompletion();
    });
    box.addEventListener("keydown", (event) => {
      if (this.#handleKey(event)) event.preventDefault();
    });
    // Before an input method composes, because it would keep the text that it began with.
    for (const kind of ["beforeinput", "compositionstart"])
      box.addEventListener(kind, (event) => this.#typeNext(/** @type {InputEvent} */ (event)));
    this.#typeBox.addEventListener("change", () => {
      this.#showType();
      if (this.#edit === null) actions.saveDraft(box.value, this.type);
    });
    this.#onClick("cancel", () => this.#leaveEdit());
    this.#onClick("send", () => this.submit());
    part(this, "new-line").addEventListener("click", () => {
      const { selectionStart, selectionEnd } = this.#box;
      replaceText(this.#box, selectionStart, selectionEnd, "\n");
    });
    part(this, "emoji").addEventListener("click", () => this.#insertEmoji());
    for (const name of ["also", "room"])
      part(this, name).addEventListener("click", actions.chooseRooms);
    this.#onClick("resume", () => {
      const draft = this.#unfinished;
      if (draft?.edit) this.editMessage({ ...draft.edit, text: draft.edit.original }, draft.text);
    });
    this.#onClick("drop", () => {
      const draft = this.#unfinished;
      if (draft?.edit) actions.dropEditDraft(draft.edit.seq);
      this.showEdits();
    });
    const open = actions.unsavedEdits().find(({ edit }) => edit?.isOpen);
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

  /** Name the room to which messages are sent. @param {Room} room */
  showRoom({ title, staff_only, archived = false }) {
    const box = this.#box;
    box.readOnly = archived; // the text can be read and copied
    part(this, "archived").hidden = !archived;
    part(this, "attach").hidden = archived;
    setLine(part(this, "to"), title);
    part(this, "to-staff").hidden = !staff_only;
    if (staff_only) box.setAttribute("aria-description", gettext("Only staff can read this"));
    else box.removeAttribute("aria-description");
    box.placeholder = gettext("Message {name}", { name: title });
    box.setAttribute("aria-label", box.placeholder);
  }

  get #box() {
    return /** @type {HTMLTextAreaElement} */ (part(this, "text"));
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    this.showDraft(text);
    this.#actions.saveDraft(text, this.type);
  }

  /** The type of the message that is being written. */
  get type() {
    return Number(this.#typeBox.value);
  }

  set type(type) {
    this.#typeBox.value = String([WARNING, ALERT].includes(type) ? type : MESSAGE);
    this.#showType();
  }

  get #typeBox() {
    return /** @type {HTMLSelectElement} */ (part(this, "type"));
  }

  /** A warning or an alert is not sent by accident: the box and the button have its colour and name. */
  #showType() {
    this.dataset.type = this.#edit === null ? this.#typeBox.value : String(MESSAGE);
    this.#typeBox.disabled = this.#edit !== null;
    const button = part(this, "send");
    const rooms = 1 + (this.#extras?.also?.length ?? 0);
    button.title = this.#edit === null ? sendWords(this.type, rooms) : gettext("Save");
    button.ariaLabel = button.title;
  }

  /** Only staff may send warnings and alerts. @param {boolean} isStaff */
  showTypes(isStaff) {
    this.#typeBox.hidden = !isStaff;
  }

  /** The draft, also while a message is edited. */
  get draft() {
    return this.#edit ? this.#draftDuringEdit : this.#box.value;
  }

  /** Show the saved draft. @param {string} text */
  showDraft(text) {
    if (this.draft === text) return;
    if (this.#edit) this.#draftDuringEdit = text;
    else this.#box.value = text;
    this.#fitHeight();
  }

  /** What goes with the draft besides its text. */
  get extras() {
    return this.#extras;
  }

  set extras(extras) {
    this.#leaveEdit();
    this.showExtras(extras);
    this.#actions.saveDraft(this.draft, this.type);
  }

  /** @param {Extras | null} extras of the saved draft */
  showExtras(extras) {
    if (sameExtras(extras, this.#extras)) return;
    this.#extras = extras;
    this.showEdits();
    this.#actions.showExtras();
  }

  /** The message is in the outbox now, so it leaves the box. */
  clear() {
    this.type = MESSAGE;
    this.showExtras(null);
    this.text = "";
    this.#typing.reset();
  }

  /** The room has another log now, so the text written for the old one leaves the box. @param {string} text */
  resetDraft(text) {
    this.#edit = null;
    this.showExtras(null);
    this.#box.value = text;
    this.type = MESSAGE;
    this.#showReason("");
    this.showEdits();
  }

  /**
   * Put an unsent text back into the box, before the draft.
   * @param {string} text
   * @param {string} [id] the client_id under which it may already have been sent
   * @param {{type?: number | undefined, extras?: Extras | null | undefined}} [kept] only if nothing else is in the box
   */
  putBack(text, id, { type = MESSAGE, extras = null } = {}) {
    const { draft } = this;
    if (draft === "") {
      this.type = type;
      this.showExtras(extras);
    }
    const newDraft = [text, draft].filter(Boolean).join("\n");
    this.showDraft(newDraft);
    this.#actions.saveDraft(newDraft, this.type, draft === "" ? id : undefined);
    this.focus();
  }

  /**
   * Edit a message in the box. The draft returns afterwards.
   * @param {{seq: number, text: string, across?: string | undefined}} message
   * @param {string} text the edited text so far
   */
  editMessage(message, text) {
    if (this.#edit?.seq !== message.seq) {
      this.#leaveEdit();
      this.#startEdit(message, text);
      if (text !== message.text) this.#keepEdit(true);
      const current = this.#actions.messageOf(message.seq);
      if (current) this.messageChanged(current);
    }
    this.focus();
  }

  /** Answer a message with what is written from now on. @param {number} seq */
  replyTo(seq) {
    this.#leaveEdit();
    this.extras = { ...this.#extras, replyTo: seq };
    this.focus();
  }

  /** The server saved an edit. @param {number} seq @param {string} text */
  editSaved(seq, text) {
    if (this.#edit?.seq === seq && this.#box.value === text) this.#endEdit();
    this.editAnswered(seq);
  }

  /** The server answered an edit. If it is still in the box, it can be saved again. @param {number} seq */
  editAnswered(seq) {
    this.#saving.delete(seq);
    if (this.#edit?.seq === seq) this.#edit.saving = null;
    this.showEdits();
  }

  /** A message changed, perhaps the one being edited here. @param {Pick<Message, "seq" | "text" | "deleted">} message */
  messageChanged({ seq, text, deleted }) {
    const edit = this.#edit;
    if (edit?.seq !== seq) return;
    edit.isDeleted = deleted;
    if (deleted) return this.#showReason(EDIT_DELETED);
    if (text === null || text === edit.original || text === edit.saving) return;
    edit.original = text;
    // If the texts are equal, this edit was saved, but the page was closed before the answer came.
    if (text !== this.#box.value) return this.#showReason(editedWords(text));
    this.#actions.dropEditDraft(seq);
    this.#endEdit();
  }

  /** Show whether a message is being edited, and whether there is another unfinished edit. */
  showEdits() {
    part(this, "editing").hidden = this.#edit === null;
    this.#showType();
    part(this, "unfinished").hidden = this.#unfinished === undefined;
    part(this, "extras").hidden = !this.#extras || this.#edit !== null;
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
    const hidden = [this.#edit?.seq, ...this.#saving];
    return this.#actions.unsavedEdits().find(({ edit }) => !hidden.includes(edit?.seq));
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} whether the key was handled
   */
  #handleKey(event) {
    // While an input method composes, every key belongs to it.
    if (isComposing(event)) return false;
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false;
    if (this.#completion?.handleKey(event)) {
      event.stopPropagation(); // Escape closes the list, and nothing else
      return true;
    }
    if (event.key === "Enter") {
      // A key that is held down opened this pane, or has already sent the message.
      if (!event.repeat) this.submit();
      return true;
    }
    if (event.key === "Escape" && this.#edit !== null) {
      this.#leaveEdit();
      return true;
    }
    if (event.key === "Escape" && this.#extras?.replyTo) {
      const { replyTo: _replyTo, ...rest } = this.#extras;
      this.extras = Object.keys(rest).length ? rest : null;
      return true;
    }
    const isEmpty = this.#box.value === "" && this.#edit === null;
    if (event.key === "ArrowUp" && isEmpty) this.#actions.editLast();
    return event.key === "ArrowUp" && isEmpty;
  }

  /** @param {{seq: number, text: string, across?: string | undefined}} message @param {string} text */
  #startEdit({ seq, text: original, across }, text) {
    this.#draftDuringEdit = this.draft;
    this.#edit = { seq, original, across, saving: null, isDeleted: false };
    this.#box.value = text;
    this.showEdits();
  }

  /** What is typed while an edit is being saved belongs to the next message. @param {InputEvent} event */
  #typeNext(event) {
    if (!this.#edit?.saving) return;
    if (event.inputType?.startsWith("delete")) event.preventDefault();
    this.#leaveEdit();
  }

  /** Leave the edit, and keep its text as a draft that can be continued. */
  #leaveEdit() {
    const edit = this.#edit;
    if (edit === null) return;
    if (edit.saving) this.#saving.add(edit.seq);
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
    const { seq, original, across } = /** @type {Edit} */ (this.#edit);
    this.#actions.saveEditDraft(this.#box.value, { seq, original, across, isOpen });
  }

  /** Send the message or save the edit. A text that the server would refuse stays, with the reason. */
  submit() {
    if (this.#box.readOnly) return; // the room is archived, and says so
    const text = this.#box.value;
    const edit = this.#edit;
    if (edit?.saving) return; // wait for the answer
    if (edit?.isDeleted) return this.#showReason(EDIT_DELETED);
    const code = refusalOf(text, this.#limits);
    const attached = edit === null && this.attached?.size ? this.attached : null;
    const isEmpty = code === "MESSAGE_EMPTY" && edit === null;
    const { source, also } = this.#extras ?? {};
    if (isEmpty && !attached && !source) return; // Enter in an empty box needs no explanation
    const reason = isEmpty ? null : code;
    this.#showReason(reason === null ? "" : refusalSentence(reason, this.#limits, text));
    if (reason !== null || attached?.holds()) return;
    if (edit === null) {
      if (source || also) return this.#actions.sendWithExtras();
      const files = attached && { files: attached.filesFor() };
      const extras = this.#extras || files ? { ...this.#extras, ...files } : null;
      // It stores the message in the outbox before it leaves the box.
      this.#actions.sendMessage(isEmpty ? "" : text, this.type, extras);
      attached?.take();
      return this.clear();
    }
    edit.saving = text;
    this.#keepEdit(true);
    this.showEdits();
    this.#actions.saveEdit(edit, text);
  }

  async #insertEmoji() {
    const button = part(this, "emoji");
    // Escape gives the focus back to where it was. On a phone, the focus in the box would open the keyboard.
    if (!matchMedia("(pointer: coarse)").matches) this.focus();
    try {
      const emoji = await this.#actions.chooseEmoji(button);
      const { selectionStart, selectionEnd } = this.#box;
      if (emoji !== null) replaceText(this.#box, selectionStart, selectionEnd, emoji);
    } catch {
      this.#showReason(NOT_LOADED);
    }
  }

  async #loadCompletion() {
    // Without it, what is typed stays as it is. The next key tries again.
    const loaded = await completion.load().catch(() => null);
    if (loaded === null || this.#completion !== null) return;
    const parts = { list: part(this, "choices"), status: part(this, "choices-status") };
    this.#completion = new loaded(this.#box, parts, this.#actions.choices);
  }

  #textChanged() {
    if (this.#edit === null) {
      this.#actions.saveDraft(this.#box.value, this.type);
      this.#typing.changed(this.#box.value);
    } else this.#keepEdit(true);
    this.#showReason("");
    this.#fitHeight();
  }

  /** @param {string} sentence */
  #showReason(sentence) {
    const reason = part(this, "reason");
    reason.hidden = sentence === "";
    reason.textContent = sentence;
  }

  /** Make the box as high as its text where CSS cannot; CSS has the limit. A box that is not shown has no height to measure. */
  #fitHeight() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#width = this.#box.clientWidth;
    if (this.#box.offsetParent === null) return;
    const { style } = this.#box;
    style.height = "auto";
    style.height = `${this.#box.scrollHeight}px`;
  }
}

/** The name of the button that sends. @param {number} type @param {number} rooms how many get the message */
function sendWords(type, rooms) {
  const isToOne = rooms === 1;
  if (type === ALERT)
    return isToOne
      ? gettext("Send alert")
      : ngettext("Send alert to {count} room", "Send alert to {count} rooms", rooms);
  if (type === WARNING)
    return isToOne
      ? gettext("Send warning")
      : ngettext("Send warning to {count} room", "Send warning to {count} rooms", rooms);
  return isToOne
    ? gettext("Send")
    : ngettext("Send to {count} room", "Send to {count} rooms", rooms);
}
