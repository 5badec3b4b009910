/** <message-list>: a room's log on the page. */

import { Scroll } from "../dom/scroll.js";
import { part } from "../dom/templates.js";
import { isOwn } from "../model/own.js";
import { coveredPx } from "./days.js";
import { handleKey } from "./keyboard.js";
import { createUnsent, fillMessage, stateId } from "./message.js";
import { NewLine } from "./new_line.js";
import { PresenceLine } from "./presence_line.js";
import { Rows } from "./rows.js";

/** @import {Entry} from "../model/outbox_store.js" */
/** @import {Me} from "../model/own.js" */
/** @import {Signal} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Edges} from "../model/workspace.js" */

/** So many are held, and trimmed to fewer, so that it is not done at every message. */
const AT_MOST = 400;
const KEPT = 300;
/** Below the top, so that it is seen that something is above. */
const NEW_AT_PX = 48;

export class MessageList extends HTMLElement {
  #me = /** @type {Me} */ ({ id: 0, username: "" });
  // Made when their place is there.
  #rows = /** @type {Rows} */ (/** @type {unknown} */ (null));
  #presence = /** @type {PresenceLine} */ (/** @type {unknown} */ (null));
  newLine = /** @type {NewLine} */ (/** @type {unknown} */ (null));
  /** @type {Scroll | null} */
  #scroll = null;
  /** Whether there is more of the log than is held. @type {Edges} */
  #edges = { hasOlder: true, hasNewer: false };
  newBelow = 0;
  /** The message that was looked for. @type {HTMLElement | undefined} */
  #found;

  /**
   * @param {Me} me
   * @param {{onscroll: () => void, onmoved: () => void}} pane `onmoved`: by the reader
   */
  configure(me, { onscroll, onmoved }) {
    this.#me = me;
    const messages = part(this, "messages");
    this.#rows = new Rows(messages);
    this.#presence = new PresenceLine(messages);
    this.newLine = new NewLine(this, this.#rows, { me, hasOlder: () => this.#edges.hasOlder });
    this.addEventListener("keydown", (event) =>
      handleKey(event, this, this.#rows, () => this.#arrowStart),
    );
    const scrolled = () => {
      if (this.isAtBottom) this.newBelow = 0;
      onscroll();
    };
    this.#scroll = new Scroll(this, part(this, "content"), scrolled, {
      firstInView: () => this.#firstInView(),
      isAtHead: () => this.isAtHead,
      onmoved,
    });
  }

  get isAtBottom() {
    return this.#scroll?.isAtBottom ?? true;
  }

  /** Whether nothing newer is to be loaded. */
  get isAtHead() {
    return !this.#edges.hasNewer;
  }

  get wantsOlder() {
    return this.#edges.hasOlder && (this.#scroll?.isNearTop ?? false);
  }

  get wantsNewer() {
    return !this.isAtHead && (this.#scroll?.isNearEnd ?? false);
  }

  clear() {
    this.#presence.endLine();
    this.newBelow = 0;
    this.#keepFocus(() => this.#rows.clear());
    part(this, "empty").hidden = true;
    this.#scroll?.scrollToBottom();
  }

  /**
   * Show messages that are new to the page, or that changed.
   * @param {Message[]} messages oldest first
   */
  showMessages(messages) {
    const isOnlyNew = messages.every(({ seq }) => !this.elementOf(seq) && seq > this.#rows.last);
    const put = () => {
      for (const message of messages) this.#showMessage(message);
      this.newLine.messagesAdded();
    };
    // What is appended moves nothing: no need to look for an anchor (and force a layout).
    if (isOnlyNew) put();
    else this.keepStill(put);
    part(this, "empty").hidden = this.#rows.seqs.length > 0;
    this.followBottom();
  }

  /** Show a message that was just posted or changed, if the window holds it: never beside a hole. @param {Message} message */
  showLive(message) {
    const isNext = this.isAtHead && message.seq > this.#rows.last;
    if (isNext || this.elementOf(message.seq)) this.showMessages([message]);
  }

  /** Say where the new ones begin, or that there are none. @param {number | null} after */
  showNewLine(after) {
    this.keepStill(() => this.newLine.showAfter(after));
  }

  /** Bring the first new message into view, a little below the top. */
  scrollToNew() {
    if (!this.newLine.isShown) return this.scrollToBottom();
    this.#scrollToElement(this.newLine.element, NEW_AT_PX);
  }

  /** Numbers of the first and the last message of which the end is in view; null when none is. */
  get inView() {
    const box = this.getBoundingClientRect();
    const first = this.#rows.seqs[this.#rows.indexAt(box.top + coveredPx())];
    const last = this.#rows.seqs[this.#rows.indexAt(box.bottom + 1) - 1];
    return first === undefined || last === undefined || last < first ? null : { first, last };
  }

  /**
   * Show a page of history: the line of signals that stands last is newer than all of it.
   * @param {Message[]} messages oldest first
   * @param {Edges} edges
   */
  showPage(messages, edges) {
    this.#edges = edges;
    const isFirst = this.#rows.last === 0;
    this.#presence.stayLast(() => this.showMessages(messages));
    if (isFirst) this.#scroll?.scrollToBottom();
    else this.#scroll?.updateAtBottom();
  }

  /** Bring a message into view and mark it. @param {number} seq */
  scrollToMessage(seq) {
    this.#found?.classList.remove("found");
    this.#found = this.elementOf(seq);
    if (!this.#found) return this.scrollToBottom();
    this.#found.classList.add("found");
    this.#found.classList.remove("more"); // its author may be out of view
    this.#scrollToElement(this.#found, Math.max(NEW_AT_PX, this.clientHeight / 4));
    // The page may come late: who is writing by then goes on.
    const { activeElement: now } = document;
    const isWriting = now instanceof HTMLTextAreaElement || now instanceof HTMLInputElement;
    if (!isWriting) this.#found.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} element @param {number} px below the top */
  #scrollToElement(element, px) {
    this.#scroll?.scrollBy(
      element.getBoundingClientRect().top - this.getBoundingClientRect().top - px,
    );
  }

  followBottom() {
    this.#scroll?.followBottom();
  }

  scrollToBottom() {
    this.newBelow = 0;
    this.#scroll?.scrollToBottom();
  }

  /** @param {Signal} signal */
  showSignal(signal) {
    if (!this.isAtHead) return;
    this.#presence.showSignal(signal);
    this.followBottom();
  }

  /**
   * Show the texts that are not acknowledged, below the log.
   * @param {Entry[]} entries
   */
  showUnsent(entries) {
    const box = part(this, "unsent");
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
    for (const element of wanted) if (!element.isConnected) box.append(element);
    this.followBottom();
  }

  /**
   * The message that something happened in.
   * @param {EventTarget | null} target
   */
  messageAt(target) {
    const element = target instanceof Element ? target.closest(".message") : null;
    return this.#rows.messageAt(element);
  }

  /** The newest message of the reader that can be changed. */
  get lastOwn() {
    if (!this.isAtHead) return undefined;
    const seq = this.#rows.seqs.findLast((one) => {
      const message = this.#rows.messageOf(one);
      return message !== undefined && isOwn(message, this.#me) && !message.deleted;
    });
    return this.#rows.messageOf(seq);
  }

  /** @param {number} seq */
  elementOf(seq) {
    return this.#rows.elementOf(seq);
  }

  /** Say the days anew. */
  updateDays() {
    this.#rows.updateDays();
  }

  /** Say all times and days in another zone. */
  updateZone() {
    this.keepStill(() => this.#rows.updateZone());
  }

  /** Change what stands around the log without moving what is read in it. @param {() => void} change */
  keepStill(change) {
    this.#scroll?.keepStill(this.#firstInView(), change);
  }

  /** Unfold a message so that its first line stays where it is, also at the bottom. @param {HTMLElement} element @param {() => void} change */
  keepTop(element, change) {
    const { top } = element.getBoundingClientRect();
    this.#keepFocus(change);
    this.#scroll?.scrollBy(element.getBoundingClientRect().top - top);
  }

  /**
   * Forget what is far from what is read, at the end that is farther.
   * @returns {[number, number] | null} the first and the last message that stayed, if any went
   */
  trim() {
    const rows = this.#rows;
    const { length } = rows.seqs;
    // Of a pane that is not shown, on a phone, the place of its reader is not known.
    const isHidden = this.clientHeight === 0 && !this.isAtBottom;
    if (length <= AT_MOST || isHidden) return null;
    const isFromTop =
      this.isAtBottom || rows.indexAt(this.getBoundingClientRect().top) * 2 > length;
    const drop = () => this.#keepFocus(() => rows.removeMessages(length - KEPT, isFromTop));
    if (this.isAtBottom) {
      drop();
      // Now, and not with the next frame: by then so much may have come that the jump up looks like the reader's own.
      this.scrollToBottom();
    } else this.keepStill(drop);
    if (!isFromTop) this.#presence.endLine();
    return [rows.first, rows.last];
  }

  /** The focus stays in the log when the message that had it is removed. @param {() => void} change */
  #keepFocus(change) {
    const hadFocus = this.contains(document.activeElement);
    change();
    if (hadFocus && !this.contains(document.activeElement)) this.focus({ preventScroll: true });
  }

  /** @param {Message} message */
  #showMessage(message) {
    fillMessage(this.elementOf(message.seq) ?? this.#addMessage(message), message, this.#me);
  }

  /** @param {Message} message */
  #addMessage(message) {
    if (message.seq > this.#rows.last) this.#presence.endLine();
    const element = this.#rows.addMessage(message);
    element.classList.toggle("own", isOwn(message, this.#me));
    return element;
  }

  /** Where arrows begin: who has scrolled up reads there. */
  get #arrowStart() {
    const { last } = this.#rows;
    return this.isAtBottom ? last : (this.inView?.first ?? last);
  }

  #firstInView() {
    const { seqs } = this.#rows;
    return this.elementOf(seqs[this.#rows.indexAt(this.getBoundingClientRect().top)] ?? -1);
  }
}
