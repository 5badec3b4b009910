/** The "New" line in a log: where it stands, and what comes first after what was read. */

import { copyElement } from "../dom/templates.js";
import { isOwn } from "../model/own.js";
import { coveredPx } from "./days.js";

/** @import {Me} from "../model/own.js" */
/** @import {Rows} from "./rows.js" */

export class NewLine {
  #log;
  #rows;
  #me;
  #hasOlder;
  #line = copyElement("new-template");
  /** It stands before the first message of others after this one. @type {number | null} */
  #after = null;

  /**
   * @param {HTMLElement} log the element that scrolls
   * @param {Rows} rows what stands in it
   * @param {{me: Me, hasOlder: () => boolean}} reader who reads, and whether the rows begin in the middle of the log
   */
  constructor(log, rows, { me, hasOlder }) {
    this.#log = log;
    this.#rows = rows;
    this.#me = me;
    this.#hasOlder = hasOlder;
  }

  get isShown() {
    return this.#line.isConnected;
  }

  get element() {
    return this.#line;
  }

  /** Stand after this message, or nowhere. @param {number | null} seq */
  showAfter(seq) {
    this.#after = seq;
    this.#place();
  }

  /** Messages came: it may have been waiting for one. */
  messagesAdded() {
    if (this.#after !== null && !this.isShown) this.#place();
  }

  /** Whether what is new begins above the view. */
  get isAbove() {
    if (this.#after === null) return false; // before a layout is asked for
    if (!this.isShown) return !this.firstAfter(this.#after).isKnown;
    return this.#line.getBoundingClientRect().bottom <= this.#top;
  }

  get isInView() {
    const { top, bottom } = this.#line.getBoundingClientRect();
    const end = this.#log.getBoundingClientRect().bottom;
    return this.isShown && top >= this.#top - 1 && bottom <= end + 1;
  }

  get #top() {
    return this.#log.getBoundingClientRect().top + coveredPx();
  }

  /** The first message of others after one, and whether nothing between the two is missing here. @param {number} read */
  firstAfter(read) {
    const { seqs } = this.#rows;
    const at = seqs.findIndex((seq) => seq > read);
    const seq = at < 0 ? undefined : seqs.slice(at).find((one) => this.#isOthers(one));
    return { seq, isKnown: at !== 0 || !this.#hasOlder() };
  }

  #place() {
    const before = this.#line.nextElementSibling;
    this.#line.remove();
    const { seq, isKnown } = this.firstAfter(this.#after ?? Number.POSITIVE_INFINITY);
    const element = isKnown ? this.#rows.elementOf(seq) : undefined;
    element?.before(this.#line);
    for (const one of new Set([before, element]))
      if (one instanceof HTMLElement && this.#rows.messageAt(one)) this.#rows.updateGroup(one);
  }

  /** @param {number} seq */
  #isOthers(seq) {
    const message = this.#rows.messageOf(seq);
    return message !== undefined && !isOwn(message, this.#me) && !message.deleted;
  }
}
