/** The messages of a log on the page, in the order of their seqs, with day separators and grouped by author. */

import { createSeparator, isSameDay, showDay } from "./days.js";
import { createMessage, isSameGroup, showTime } from "./message.js";

/** @import {Message} from "../model/room_log.js" */

export class Rows {
  /** The messages' seqs, ascending. @type {number[]} */
  seqs = [];
  #box;
  /** @type {Map<number, HTMLElement>} */
  #elements = new Map();
  /** @type {Map<HTMLElement, Message>} */
  #messages = new Map();

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  get first() {
    return this.seqs[0] ?? 0;
  }

  get last() {
    return this.seqs.at(-1) ?? 0;
  }

  /** @param {number | undefined} seq */
  elementOf(seq) {
    return this.#elements.get(seq ?? -1);
  }

  /** @param {Element | null | undefined} element */
  messageAt(element) {
    return this.#messages.get(/** @type {HTMLElement} */ (element));
  }

  /** @param {number | undefined} seq */
  messageOf(seq) {
    return this.messageAt(this.elementOf(seq));
  }

  clear() {
    this.#elements.clear();
    this.#messages.clear();
    this.seqs = [];
    this.#box.replaceChildren();
  }

  /** @param {Message} message */
  addMessage(message) {
    const element = createMessage(message);
    this.#elements.set(message.seq, element);
    this.#messages.set(element, message);
    const index = this.seqs.findLastIndex((seq) => seq < message.seq) + 1;
    const next = this.elementOf(this.seqs[index]);
    this.seqs.splice(index, 0, message.seq);
    this.#box.insertBefore(element, next ? leadOf(next) : null);
    this.updateGroup(element, index);
    if (next) this.updateGroup(next, index + 1, false);
    return element;
  }

  /** Remove messages at one end, with everything beyond them. @param {number} count @param {boolean} isFromTop */
  removeMessages(count, isFromTop) {
    const removed = isFromTop ? this.seqs.splice(0, count) : this.seqs.splice(-count);
    const end = /** @type {HTMLElement} */ (this.elementOf(isFromTop ? this.first : this.last));
    const range = document.createRange();
    range.selectNodeContents(this.#box);
    if (isFromTop) range.setEndBefore(leadOf(end));
    else range.setStartAfter(end);
    range.deleteContents();
    for (const seq of removed) {
      this.#messages.delete(/** @type {HTMLElement} */ (this.elementOf(seq)));
      this.#elements.delete(seq);
    }
    if (isFromTop) this.updateGroup(end, 0);
  }

  /**
   * Put a day separator above a message, or join it to the group above.
   * @param {HTMLElement} element
   * @param {number} [at]
   * @param {boolean} [mayJoin] false for a message that may be in view: hiding its author would change its height
   */
  updateGroup(element, at = this.seqs.indexOf(this.messageAt(element)?.seq ?? -1), mayJoin = true) {
    const message = /** @type {Message} */ (this.messageAt(element));
    const above = this.elementOf(this.seqs[at - 1]);
    const previous = this.messageAt(above);
    const isNewDay = previous === undefined || !isSameDay(previous, message);
    const lead = leadOf(element);
    const hasDay = lead.classList.contains("day");
    if (!isNewDay && hasDay) lead.remove();
    if (isNewDay && !hasDay) lead.before(createSeparator(message.at));
    const isNeighbour = !isNewDay && element.previousElementSibling === above;
    const isMore = isNeighbour && isSameGroup(previous, message);
    if (mayJoin || !isMore) element.classList.toggle("more", isMore);
  }

  /** Update the days' labels. */
  updateDays() {
    for (const day of this.#box.querySelectorAll(".day")) showDay(/** @type {HTMLElement} */ (day));
  }

  /** The reader is in another zone: update all times and separators. */
  updateZone() {
    for (const [element, { at }] of this.#messages) {
      showTime(element, at);
      this.updateGroup(element);
    }
    this.updateDays();
  }

  /** Find the index of the first message that ends below y. A binary search, because there may be hundreds. @param {number} y */
  indexAt(y) {
    let low = 0;
    let high = this.seqs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const box = this.elementOf(this.seqs[middle])?.getBoundingClientRect();
      if (box && box.bottom > y) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Find the element with which a message begins: its day, the "New" line, or itself. @param {HTMLElement} element */
function leadOf(element) {
  let lead = element;
  for (const kind of ["new", "day"]) {
    const before = lead.previousElementSibling;
    if (before instanceof HTMLElement && before.classList.contains(kind)) lead = before;
  }
  return lead;
}
