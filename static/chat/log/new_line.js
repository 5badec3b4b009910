/** The "New" line in a log, and the first unread message, before which it stands. */

import { copyElement } from "../dom/templates.js";
import { coveredPx } from "./days.js";

/** @import {Message} from "../model/room_log.js" */
/** @import {Rows} from "./rows.js" */

export class NewLine {
  #log;
  #rows;
  #isOwn;
  #hasOlder;
  #line = copyElement("new-template");
  /** The line stands before the first message by others after this seq. @type {number | null} */
  #after = null;

  /**
   * @param {HTMLElement} log the element that scrolls
   * @param {Rows} rows its messages
   * @param {{isOwn: (message: Message) => boolean, hasOlder: () => boolean}} list `isOwn`: by the reader; `hasOlder`: the rows begin in the middle of the log
   */
  constructor(log, rows, { isOwn, hasOlder }) {
    this.#log = log;
    this.#rows = rows;
    this.#isOwn = isOwn;
    this.#hasOlder = hasOlder;
  }

  get isShown() {
    return this.#line.isConnected;
  }

  get element() {
    return this.#line;
  }

  /** Show the line after this message, or hide it. @param {number | null} seq */
  showAfter(seq) {
    this.#after = seq;
    this.#place();
  }

  /** Messages were added: the line may have been waiting for one of them. */
  messagesAdded() {
    if (this.#after !== null && !this.isShown) this.#place();
  }

  /** Whether the first new message is above the view, or the middle of the line is behind the sticky day. */
  get isAbove() {
    if (this.#after === null) return false; // without forcing a layout
    if (!this.isShown) return !this.firstAfter(this.#after).isKnown;
    const { top, bottom } = this.#line.getBoundingClientRect();
    return (top + bottom) / 2 <= this.#top;
  }

  get isInView() {
    const { top, bottom } = this.#line.getBoundingClientRect();
    const end = this.#log.getBoundingClientRect().bottom;
    return this.isShown && top >= this.#top - 1 && bottom <= end + 1;
  }

  get #top() {
    return this.#log.getBoundingClientRect().top + coveredPx();
  }

  /** Find the first message by others after a read position, and whether the log between the two is complete here. @param {number} read */
  firstAfter(read) {
    const { seqs } = this.#rows;
    const index = seqs.findIndex((seq) => seq > read);
    const seq = index < 0 ? undefined : seqs.slice(index).find((seq) => this.#isByOthers(seq));
    return { seq, isKnown: index !== 0 || !this.#hasOlder() };
  }

  #place() {
    const before = this.#line.nextElementSibling;
    this.#line.remove();
    const { seq, isKnown } = this.firstAfter(this.#after ?? Number.POSITIVE_INFINITY);
    const element = isKnown ? this.#rows.elementOf(seq) : undefined;
    element?.before(this.#line);
    for (const row of new Set([before, element]))
      if (row instanceof HTMLElement && this.#rows.messageAt(row)) this.#rows.updateGroup(row);
  }

  /** @param {number} seq */
  #isByOthers(seq) {
    const message = this.#rows.messageOf(seq);
    return message !== undefined && !this.#isOwn(message) && !message.deleted;
  }
}
