/** The messages of a log on the page, in the order of their seqs, with day separators and grouped by author. */

import { part } from "../dom/templates.js";
import { deletedWords } from "../model/strings.js";
import { createSeparator, isSameDay, showDay } from "./days.js";
import { createMessage, isSameGroup, showTime } from "./message.js";
import { showSentence } from "./text.js";

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

  /** In the order of their seqs. */
  get messages() {
    return this.seqs.flatMap((seq) => this.messageOf(seq) ?? []);
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
    const above = this.#shownBefore(at);
    const previous = this.messageAt(above);
    const isNewDay =
      !message.takenBack && (previous === undefined || !isSameDay(previous, message));
    const lead = leadOf(element);
    const hasDay = lead.classList.contains("day");
    if (!isNewDay && hasDay) lead.remove();
    if (isNewDay && !hasDay) lead.before(createSeparator(message.at));
    const isNeighbour = !isNewDay && shownSiblingBefore(element) === above;
    const isMore =
      isNeighbour && previous !== undefined && !previous.deleted && isSameGroup(previous, message);
    if (mayJoin || !isMore) element.classList.toggle("more", isMore);
  }

  /** Whether any message is shown, and not taken back. */
  get areShown() {
    return this.seqs.some((seq) => {
      const message = this.messageOf(seq);
      return message !== undefined && !message.takenBack;
    });
  }

  /** Show no trace of messages that were taken back, and each run of other deleted messages as one line. */
  foldDeleted() {
    /** The first of the run, and how many it has. @type {{element: HTMLElement, message: Message, count: number} | null} */
    let run = null;
    this.seqs.forEach((seq, at) => {
      const element = this.elementOf(seq);
      const message = this.messageAt(element);
      if (!element || !message) return;
      if (message.takenBack) return this.#takeAway(element, at);
      if (!message.deleted) {
        // The name of its author may have stood at a message that is folded now.
        if (run && run.count > 1) this.updateGroup(element, at);
        run = null;
      } else if (run && isSameDay(run.message, message)) {
        run.count += 1;
        element.classList.add("gone");
        showSentence(part(run.element, "text"), deletedWords(run.count));
        run.element.classList.add("run");
      } else {
        run = { element, message, count: 1 };
        element.classList.remove("gone", "run");
        showSentence(part(element, "text"), deletedWords(1));
      }
    });
  }

  /** @param {HTMLElement} element of a message that was taken back @param {number} at */
  #takeAway(element, at) {
    if (element.classList.contains("gone")) return;
    element.classList.add("gone");
    this.updateGroup(element, at);
    const next = this.seqs.findIndex((seq, i) => {
      const message = this.messageOf(seq);
      return i > at && message !== undefined && !message.takenBack;
    });
    const follower = this.elementOf(this.seqs[next]);
    if (follower) this.updateGroup(follower, next);
  }

  /** The nearest message above that was not taken back. @param {number} at */
  #shownBefore(at) {
    for (let index = at - 1; index >= 0; index -= 1) {
      const element = this.elementOf(this.seqs[index]);
      const message = this.messageAt(element);
      if (message && !message.takenBack) return element;
    }
    return undefined;
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

/** The sibling above that is shown. @param {HTMLElement} element */
function shownSiblingBefore(element) {
  let sibling = element.previousElementSibling;
  while (sibling?.classList.contains("gone")) sibling = sibling.previousElementSibling;
  return sibling;
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
