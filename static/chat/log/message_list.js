/** <message-list>: shows a room's log. */

import { copyByButton } from "../dom/clipboard.js";
import { Scroll } from "../dom/scroll.js";
import { part } from "../dom/templates.js";
import { isOwn } from "../model/own.js";
import { heldWords } from "../model/strings.js";
import { coveredPx, dates } from "./days.js";
import { handleKey, keepOneTabStop } from "./keyboard.js";
import { createUnsent, fillMessage, showConfirmed, stateId } from "./message.js";
import { NewLine } from "./new_line.js";
import { PresenceLine } from "./presence_line.js";
import { Rows } from "./rows.js";
import { copySelection, selectedMessages } from "./selection.js";

/** @import {Entry} from "../model/outbox_store.js" */
/** @import {Me} from "../model/own.js" */
/** @import {Signal} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Edges} from "../model/workspace.js" */

/** Shows what a message quotes and the messages to which it links. @typedef {(list: MessageList, element: HTMLElement, message: Message) => void} ShowQuotes */
/** Shows the reactions of a message and what it answers, or removes them. @typedef {(list: MessageList, element: HTMLElement, message: Pick<Message, "seq" | "replyTo" | "deleted" | "reactions">) => void} ShowAnswers */

/** Above this number of messages the list is trimmed, and to fewer, so that it does not happen at every message. */
const MAX_MESSAGES = 400;
const TRIMMED_TO = 300;
/** Distance of the "New" line from the top, which shows that there is something above. */
const NEW_AT_PX = 48;

export class MessageList extends HTMLElement {
  #me = /** @type {Me} */ ({ id: 0, username: "" });
  // The template's content is there already, because importNode upgrades elements with their children.
  #rows = new Rows(part(this, "messages"));
  /** Alerts that are pinned above this log. @type {Set<string>} */
  #pinned = new Set();
  #unsent = part(this, "unsent");
  #presence = new PresenceLine(part(this, "messages"));
  newLine = new NewLine(this, this.#rows, {
    isOwn: (message) => isOwn(message, this.#me),
    hasOlder: () => this.#edges.hasOlder,
  });
  #onscroll = () => {};
  #onmoved = () => {};
  /** @type {ShowQuotes} */
  #showQuotes = () => {};
  /** @type {ShowAnswers} */
  #showAnswers = () => {};
  #scroll = new Scroll(
    this,
    part(this, "content"),
    () => {
      if (this.isAtBottom) this.newBelow = 0;
      this.#onscroll();
    },
    {
      firstInView: () => this.#firstInView(),
      isAtHead: () => this.isAtHead,
      onmoved: () => this.#onmoved(),
    },
  );
  /** Whether the log has more messages than the page holds. @type {Edges} */
  #edges = { hasOlder: true, hasNewer: false };
  /** How many new messages are below the view. */
  newBelow = 0;
  /** The message that was jumped to. @type {HTMLElement | undefined} */
  #target;

  /**
   * @param {Me} me
   * @param {{onscroll: () => void, onmoved: () => void, showQuotes: ShowQuotes, showAnswers: ShowAnswers}} pane `onmoved`: the reader scrolled
   */
  configure(me, { onscroll, onmoved, showQuotes, showAnswers }) {
    this.#me = me;
    this.#showQuotes = showQuotes;
    this.#showAnswers = showAnswers;
    this.#onscroll = onscroll;
    this.#onmoved = onmoved;
    this.addEventListener("keydown", (event) =>
      handleKey(event, this, this.#rows, () => this.#arrowStart),
    );
    keepOneTabStop(this);
    this.addEventListener("click", ({ target }) => copyCode(target));
    this.addEventListener("copy", (event) =>
      copySelection(event, this, (element) => this.messageAt(element)),
    );
    // A press on a message's button leaves selected what the button may be about.
    this.addEventListener("mousedown", (event) => {
      const isButton = event.target instanceof Element && event.target.closest("button");
      if (isButton && getSelection()?.isCollapsed === false) event.preventDefault();
    });
  }

  /** The messages of which something is selected, oldest first. */
  get selectedMessages() {
    return selectedMessages(this, (element) => this.messageAt(element));
  }

  get isAtBottom() {
    return this.#scroll.isAtBottom;
  }

  /** Whether the newest message of the log is held. */
  get isAtHead() {
    return !this.#edges.hasNewer;
  }

  get wantsOlder() {
    return this.#edges.hasOlder && this.#scroll.isNearTop;
  }

  get wantsNewer() {
    return !this.isAtHead && this.#scroll.isNearEnd;
  }

  clear() {
    this.#presence.endLine();
    this.newBelow = 0;
    this.#keepFocus(() => this.#rows.clear());
    part(this, "empty").hidden = true;
    this.#scroll.scrollToBottom();
  }

  /**
   * Show messages that are new to the page, or that changed.
   * @param {Message[]} messages oldest first
   */
  showMessages(messages) {
    const isOnlyNew = messages.every(({ seq }) => !this.elementOf(seq) && seq > this.#rows.last);
    const show = () => {
      for (const message of messages) this.#showMessage(message);
      if (!isOnlyNew || messages.some(({ deleted }) => deleted)) this.#rows.foldDeleted();
      this.newLine.messagesAdded();
    };
    // Appended messages move nothing, so finding an anchor would force a layout for nothing.
    if (isOnlyNew) show();
    else this.keepStill(show);
    part(this, "empty").hidden = this.#rows.areShown;
    this.followBottom();
  }

  /** Show a message that was just posted or changed, if the window holds it: a message is never shown beside a gap. @param {Message} message */
  showLive(message) {
    const isNext = this.isAtHead && message.seq > this.#rows.last;
    if (isNext || this.elementOf(message.seq)) this.showMessages([message]);
  }

  /** Show what others made of a message: its text and its place stay. @param {Message} message */
  updateAnswers(message) {
    const element = this.elementOf(message.seq);
    if (!element) return;
    this.keepStill(() => {
      showConfirmed(element, message);
      this.#showAnswers(this, element, message);
    });
    this.followBottom();
  }

  /** Show where the new messages begin, or that there are none. @param {number | null} after */
  showNewLine(after) {
    this.keepStill(() => this.newLine.showAfter(after));
  }

  /** Bring the first new message into view, a little below the top. */
  scrollToNew() {
    if (!this.newLine.isShown) return this.scrollToBottom();
    this.#scrollToElement(this.newLine.element, NEW_AT_PX);
  }

  /** The seqs of the first and the last message whose end is in view; null when there is none. */
  get inView() {
    const box = this.getBoundingClientRect();
    const first = this.#rows.seqs[this.#rows.indexAt(box.top + coveredPx())];
    // Unsent messages cover the end of a log that is scrolled up.
    const bottom = Math.min(box.bottom, this.#unsent.getBoundingClientRect().top);
    const last = this.#rows.seqs[this.#rows.indexAt(bottom + 1) - 1];
    return first === undefined || last === undefined || last < first ? null : { first, last };
  }

  /**
   * Show a page of history. The presence line stays last, because it is newer than the page.
   * @param {Message[]} messages oldest first
   * @param {Edges} edges
   */
  showPage(messages, edges) {
    this.#edges = edges;
    const isFirst = this.#rows.last === 0;
    this.#presence.stayLast(() => this.showMessages(messages));
    if (isFirst) this.#scroll.scrollToBottom();
    else this.#scroll.updateAtBottom();
  }

  /** Bring a message into view and highlight it. @param {number} seq */
  scrollToMessage(seq) {
    this.#target?.classList.remove("found");
    const element = this.elementOf(seq);
    this.#target = element;
    if (!element) return this.scrollToBottom();
    element.classList.add("found");
    element.classList.remove("more"); // its author may be out of view
    this.#scrollToElement(element, Math.max(NEW_AT_PX, this.clientHeight / 4));
    // The page may arrive late. A user who is writing by then, or walking through search results, keeps the focus.
    const isOccupied = document.activeElement?.matches("textarea, input, .hit") === true;
    if (!isOccupied) element.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} element @param {number} px below the top */
  #scrollToElement(element, px) {
    this.#scroll.scrollBy(
      element.getBoundingClientRect().top - this.getBoundingClientRect().top - px,
    );
  }

  /** Where the reader is, to come back later: the first message that begins in view and its distance from the top; null at the newest message. */
  get stand() {
    if (this.isAtHead && this.isAtBottom) return null;
    const { top } = this.getBoundingClientRect();
    const at = this.#rows.indexAt(top);
    // The message that is cut by the top may have another height later, when another one stands above it.
    const isCut =
      (this.elementOf(this.#rows.seqs[at] ?? -1)?.getBoundingClientRect().top ?? top) < top;
    const seq = this.#rows.seqs[isCut ? at + 1 : at] ?? this.#rows.seqs[at];
    const element = this.elementOf(seq ?? -1);
    if (seq === undefined || !element) return null;
    return { seq, px: element.getBoundingClientRect().top - top };
  }

  /** Find the first message at or after a time, and whether the log before it is held. @param {string} at */
  firstSince(at) {
    const { seqs } = this.#rows;
    const time = Date.parse(at);
    const index = seqs.findIndex((seq) => Date.parse(this.#rows.messageOf(seq)?.at ?? "") >= time);
    const isKnown = index > 0 || (index < 0 ? this.isAtHead : !this.#edges.hasOlder);
    return { seq: seqs[index], isKnown };
  }

  /** Scroll so that a message is so many pixels below the top. @param {number} seq @param {number} px */
  scrollToSeq(seq, px) {
    const element = this.elementOf(seq);
    if (element) this.#scrollToElement(element, px);
  }

  followBottom() {
    this.#scroll.followBottom();
  }

  scrollToBottom() {
    this.newBelow = 0;
    this.#scroll.scrollToBottom();
  }

  /** @param {Signal} signal */
  showSignal(signal) {
    if (!this.isAtHead) return;
    this.#presence.showSignal(signal);
    this.followBottom();
  }

  /**
   * Show the messages that are not acknowledged below the log.
   * @param {Entry[]} entries
   */
  showUnsent(entries) {
    const box = this.#unsent;
    const shown = new Map(
      [...box.children].map((child) => [child.getAttribute("data-state-id"), child]),
    );
    const wanted = entries.map(
      (entry) => shown.get(stateId(entry)) ?? createUnsent(entry, this.#me.username),
    );
    this.#keepFocus(() => {
      for (const [id, child] of shown)
        if (!entries.some((entry) => stateId(entry) === id)) child.remove();
    });
    wanted.forEach((element, index) => {
      if (element.isConnected || !(element instanceof HTMLElement)) return;
      box.append(element);
      const { replyTo } = entries[index] ?? {};
      if (!replyTo) return;
      element.dataset.replyTo = String(replyTo);
      this.#showAnswers(this, element, { seq: 0, replyTo, deleted: false, reactions: [] });
    });
    this.followBottom();
    // Measuring forces a layout, and at the bottom no button floats above these messages.
    const covered = this.isAtBottom || entries.length === 0 ? 0 : box.offsetHeight;
    this.parentElement?.style.setProperty("--unsent", `${covered}px`);
    if (covered) box.scrollTop = box.scrollHeight;
  }

  /**
   * Find the message that an event happened in.
   * @param {EventTarget | null} target
   */
  messageAt(target) {
    const element = target instanceof Element ? target.closest(".message") : null;
    return this.#rows.messageAt(element);
  }

  /** Which messages of the log the page holds, in words. */
  get heldWords() {
    const [first, last] = [this.#rows.first, this.#rows.last].map((seq) =>
      this.#rows.messageOf(seq),
    );
    if (!first || !last) return "";
    return heldWords(dates.full(first.at), dates.full(last.at), this.#edges);
  }

  /** The reader's newest message, unless it is not held. */
  get lastOwn() {
    if (!this.isAtHead) return undefined;
    const seq = this.#rows.seqs.findLast((seq) => {
      const message = this.#rows.messageOf(seq);
      return message !== undefined && isOwn(message, this.#me) && !message.deleted;
    });
    return this.#rows.messageOf(seq);
  }

  /** The messages that the page holds, oldest first. */
  get messages() {
    return this.#rows.messages;
  }

  /** @param {number} seq */
  elementOf(seq) {
    return this.#rows.elementOf(seq);
  }

  /** Update the days' labels: it is another day. */
  updateDays() {
    this.#rows.updateDays();
  }

  /** Update all times and days: the reader is in another zone. */
  updateZone() {
    this.keepStill(() => this.#rows.updateZone());
  }

  /** Make a change without moving what is being read. @param {() => void} change */
  keepStill(change) {
    this.#scroll.keepStill(this.isAtBottom ? undefined : this.#firstInView(), change);
  }

  /** Unfold a message without moving its first line, also at the bottom. @param {HTMLElement} element @param {() => void} change */
  keepTop(element, change) {
    const { top } = element.getBoundingClientRect();
    this.#keepFocus(change);
    this.#scroll.scrollBy(element.getBoundingClientRect().top - top);
  }

  /**
   * Remove messages at the end that is farther from the reader.
   * @returns {[number, number] | null} the first and the last message that stayed, if any were removed
   */
  trim() {
    const rows = this.#rows;
    const { length } = rows.seqs;
    // In a pane that a phone does not show, the reader's position is unknown. The height is read last, because reading
    // it after each message of a burst would lay the log out again for each of them.
    if (length <= MAX_MESSAGES || (this.clientHeight === 0 && !this.isAtBottom)) return null;
    const isFromTop =
      this.isAtBottom || rows.indexAt(this.getBoundingClientRect().top) * 2 > length;
    const remove = () => this.#keepFocus(() => rows.removeMessages(length - TRIMMED_TO, isFromTop));
    if (this.isAtBottom) {
      remove();
      // At once and not with the next frame: with more messages by then, the jump up would look like a move by the reader.
      this.scrollToBottom();
    } else this.keepStill(remove);
    if (!isFromTop) this.#presence.endLine();
    return [rows.first, rows.last];
  }

  /** Remove the messages below the log's floor, which have expired. @param {number} floor */
  removeBefore(floor) {
    const { seqs } = this.#rows;
    const count = seqs.filter((seq) => seq < floor).length;
    if (count === seqs.length) this.#keepFocus(() => this.#rows.clear());
    else if (count)
      this.keepStill(() => this.#keepFocus(() => this.#rows.removeMessages(count, true)));
    this.#edges = { ...this.#edges, hasOlder: false };
  }

  /** Keep the focus in the log when the message that has it is removed. @param {() => void} change */
  #keepFocus(change) {
    const hadFocus = this.contains(document.activeElement);
    change();
    if (hadFocus && !this.contains(document.activeElement)) this.focus({ preventScroll: true });
  }

  /** @param {Message} message */
  #showMessage(message) {
    const element = this.elementOf(message.seq) ?? this.#addMessage(message);
    fillMessage(element, message, this.#me);
    if (message.source || message.text?.includes("at=")) this.#showQuotes(this, element, message);
    const isAnswer = message.replyTo !== undefined && !message.deleted;
    if (isAnswer || message.reactions.length || element.classList.contains("answered"))
      this.#showAnswers(this, element, message);
  }

  /** An alert that is pinned above the log is quiet in the log. @param {string[]} ids "seq@at" */
  showPinned(ids) {
    for (const id of new Set([...ids, ...this.#pinned])) {
      const element = this.elementOf(Number.parseInt(id, 10));
      element?.classList.toggle("is-pinned", ids.includes(id));
    }
    this.#pinned = new Set(ids);
  }

  /** @param {Message} message */
  #addMessage(message) {
    if (message.seq > this.#rows.last) this.#presence.endLine();
    const element = this.#rows.addMessage(message);
    element.classList.toggle("own", isOwn(message, this.#me));
    element.classList.toggle("is-pinned", this.#pinned.has(`${message.seq}@${message.at}`));
    return element;
  }

  /** The message at which the arrow keys begin: after scrolling up, the first in view. */
  get #arrowStart() {
    const { last } = this.#rows;
    return this.isAtBottom ? last : (this.inView?.first ?? last);
  }

  #firstInView() {
    const { seqs } = this.#rows;
    return this.elementOf(seqs[this.#rows.indexAt(this.getBoundingClientRect().top)] ?? -1);
  }
}

/** @param {EventTarget | null} target */
function copyCode(target) {
  const button = target instanceof Element ? target.closest('[data-part="copy-code"]') : null;
  const code = button?.previousElementSibling?.textContent;
  if (button instanceof HTMLElement && code) copyByButton(button, code);
}
