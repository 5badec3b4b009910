/** <message-list>: a room's log on the page. */

import { isSameDay, relabel, separator } from "./days.js";
import { create, fill, isSameGroup, stateId, unsent } from "./message.js";
import { LEAVE } from "./protocol.js";
import { Scroll } from "./scroll.js";
import { copyElement, part } from "./templates.js";
import { presenceWords } from "./words.js";

/** @import {Entry} from "./outbox_store.js" */
/** @import {Signal} from "./protocol.js" */
/** @import {Message} from "./room_log.js" */

/** So many are kept, and trimmed to fewer, so that it is not done at every message. */
const AT_MOST = 400;
const KEPT = 300;
/** Below the top, so that it is seen that something is above. */
const NEW_AT_PX = 48;

export class MessageList extends HTMLElement {
  #me = "";
  /** @type {Map<number, HTMLElement>} */
  #elements = new Map();
  /** @type {Map<HTMLElement, Message>} */
  #messages = new Map();
  /** Numbers of the messages on the page, ascending. @type {number[]} */
  #seqs = [];
  /** The last line of signals, while nothing came after it. @type {{line: HTMLElement, people: Map<string, "joined" | "left">} | null} */
  #presence = null;
  /** @type {Scroll | null} */
  #scroll = null;
  below = 0;
  /** Where "New" stands: before the first message of others after this one. @type {number | null} */
  #newAfter = null;
  #divider = copyElement("new-template");

  /**
   * @param {string} me the reader's username
   * @param {() => void} onscroll
   */
  begin(me, onscroll) {
    this.#me = me;
    this.addEventListener("keydown", (event) => this.#walk(event));
    const scrolled = () => {
      if (this.isAtBottom) this.below = 0;
      onscroll();
    };
    this.#scroll = new Scroll(this, part(this, "content"), scrolled, () => this.#firstInView());
  }

  get #content() {
    return part(this, "messages");
  }

  get isAtBottom() {
    return this.#scroll?.isAtBottom ?? true;
  }

  get wantsOlder() {
    return this.#scroll?.isNearTop ?? false;
  }

  clear() {
    this.#elements.clear();
    this.#messages.clear();
    this.#seqs = [];
    this.#presence = null;
    this.below = 0;
    this.#content.replaceChildren();
    part(this, "empty").hidden = true;
    this.#scroll?.toBottom();
  }

  /**
   * Show messages that are new to the page, or that changed.
   * @param {Message[]} messages oldest first
   */
  show(messages) {
    const isOnlyNew = messages.every(
      ({ seq }) => !this.#elements.has(seq) && seq > (this.#seqs.at(-1) ?? 0),
    );
    const put = () => {
      for (const message of messages) this.#put(message);
    };
    // What is appended moves nothing: no need to look for an anchor (and force a layout).
    if (isOnlyNew) put();
    else this.#scroll?.keepStill(this.#firstInView(), put);
    if (this.#newAfter !== null && !this.#divider.isConnected) this.#divide();
    part(this, "empty").hidden = this.#seqs.length > 0;
    this.follow();
  }

  /** Say where the new ones begin, or that there are none. @param {number | null} after */
  showNew(after) {
    this.#newAfter = after;
    this.keepStill(() => this.#divide());
  }

  get isNewInView() {
    const box = this.getBoundingClientRect();
    const { top, bottom } = this.#divider.getBoundingClientRect();
    return this.hasNew && top >= box.top - 1 && bottom <= box.bottom + 1;
  }

  get isNewAbove() {
    if (!this.hasNew) return false; // before a layout is asked for
    const { top } = this.getBoundingClientRect();
    return this.#divider.getBoundingClientRect().bottom < top;
  }

  get hasNew() {
    return this.#divider.isConnected;
  }

  /** Bring the first new message into view, a little below the top. */
  toNew() {
    if (!this.hasNew) return this.toBottom();
    const { top } = this.getBoundingClientRect();
    this.#scroll?.by(this.#divider.getBoundingClientRect().top - top - NEW_AT_PX);
  }

  /** The first unread message, and whether nothing between `read` and it is missing here. @param {number} read */
  firstNew(read) {
    const at = this.#seqs.findIndex((seq) => seq > read);
    const seq = at < 0 ? undefined : this.#seqs.slice(at).find((one) => this.#isOthers(one));
    return { seq, isKnown: at !== 0 && (this.#seqs[0] ?? 0) <= Math.max(read, 1) };
  }

  /** Numbers of the first and the last message of which the end is in view; null when none is. */
  get inView() {
    const box = this.getBoundingClientRect();
    const first = this.#seqs[this.#indexAt(box.top)];
    const above = this.#indexAt(box.bottom + 1) - 1;
    const last = this.#seqs[above];
    return first === undefined || last === undefined || last < first ? null : { first, last };
  }

  #divide() {
    const before = this.#divider.nextElementSibling;
    this.#divider.remove();
    const seq = this.#newAfter === null ? undefined : this.firstNew(this.#newAfter).seq;
    const element = this.#elements.get(seq ?? -1);
    element?.before(this.#divider);
    for (const one of new Set([before, element]))
      if (one instanceof HTMLElement && this.#messages.has(one)) this.#dress(one);
  }

  /** @param {number} seq */
  #isOthers(seq) {
    const message = this.#messages.get(/** @type {HTMLElement} */ (this.#elements.get(seq)));
    return message !== undefined && message.username !== this.#me && !message.deleted;
  }

  /**
   * Show a page of history: the line of signals that stands last is newer than all of it.
   * @param {Message[]} messages oldest first
   */
  showPage(messages) {
    const presence = this.#presence;
    this.show(messages);
    if (presence === null || presence === this.#presence) return;
    this.#content.append(presence.line);
    this.#presence = presence;
  }

  follow() {
    this.#scroll?.follow();
  }

  toBottom() {
    this.below = 0;
    this.#scroll?.toBottom();
  }

  /** @param {Signal} signal */
  showSignal({ username, msg_type }) {
    if (this.#presence === null) {
      this.#presence = { line: copyElement("signal-template"), people: new Map() };
      this.#content.append(this.#presence.line);
    }
    const { line, people } = this.#presence;
    people.delete(username);
    people.set(username, msg_type === LEAVE ? "left" : "joined");
    line.textContent = presenceWords(people);
    this.follow();
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
    const wanted = entries.map((entry) => shown.get(stateId(entry)) ?? unsent(entry, this.#me));
    for (const [id, child] of shown)
      if (!entries.some((entry) => stateId(entry) === id)) child.remove();
    for (const element of wanted) if (!element.isConnected) box.append(element);
    this.follow();
  }

  /**
   * The message that something happened in.
   * @param {EventTarget | null} target
   */
  messageAt(target) {
    const element = target instanceof Element ? target.closest(".message") : null;
    return this.#messages.get(/** @type {HTMLElement} */ (element));
  }

  /** The newest message of the reader that can be changed. */
  get lastOwn() {
    const seq = this.#seqs.findLast((one) => {
      const message = this.#messages.get(/** @type {HTMLElement} */ (this.#elements.get(one)));
      return message?.username === this.#me && !message.deleted;
    });
    return this.#messages.get(/** @type {HTMLElement} */ (this.#elements.get(seq ?? -1)));
  }

  /** @param {number} seq */
  elementOf(seq) {
    return this.#elements.get(seq);
  }

  /** Say the days anew. */
  relabel() {
    for (const day of this.#content.querySelectorAll(".day"))
      relabel(/** @type {HTMLElement} */ (day));
  }

  /** Change what stands around the log without moving what is read in it. @param {() => void} change */
  keepStill(change) {
    this.#scroll?.keepStill(this.#firstInView(), change);
  }

  /**
   * Forget the oldest while the reader is at the bottom, far from them.
   * @returns {number | null} the oldest message that stayed, if any went
   */
  trim() {
    if (!this.isAtBottom || this.#seqs.length <= AT_MOST) return null;
    const first = /** @type {HTMLElement} */ (this.#elements.get(this.#seqs.at(-KEPT) ?? 0));
    for (const seq of this.#seqs.splice(0, this.#seqs.length - KEPT)) {
      this.#messages.delete(/** @type {HTMLElement} */ (this.#elements.get(seq)));
      this.#elements.delete(seq);
    }
    const gone = document.createRange();
    gone.setStartBefore(/** @type {Node} */ (this.#content.firstChild));
    gone.setEndBefore(leadOf(first));
    gone.deleteContents();
    this.#dress(first, 0);
    this.follow();
    return this.#seqs[0] ?? null;
  }

  /** The log is one stop of Tab; arrows go from message to message, Enter opens a message's menu. @param {KeyboardEvent} event */
  #walk(event) {
    const { key, target, altKey } = event;
    const now = this.messageAt(target);
    if (
      altKey ||
      (target !== this && !(target instanceof HTMLElement && target.matches(".message")))
    )
      return;
    if (key === "Enter" && now) part(this.elementOf(now.seq) ?? this, "act").click();
    else if (key === "ArrowUp" || key === "ArrowDown") this.#step(now, key === "ArrowUp" ? -1 : 1);
    else if (key === "Escape" && now) this.focus();
    else return;
    event.preventDefault();
  }

  /** @param {Message | undefined} from @param {number} by */
  #step(from, by) {
    const at = from ? this.#seqs.indexOf(from.seq) + by : this.#seqs.length - 1;
    const element = this.#elements.get(this.#seqs[at] ?? -1);
    element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Message} message */
  #put(message) {
    const element = this.#elements.get(message.seq) ?? this.#add(message);
    fill(element, message);
  }

  /** @param {Message} message */
  #add(message) {
    const element = create(message);
    element.classList.toggle("own", message.username === this.#me);
    this.#elements.set(message.seq, element);
    this.#messages.set(element, message);
    const at = this.#seqs.findLastIndex((seq) => seq < message.seq) + 1;
    const next = this.#elements.get(this.#seqs[at] ?? -1);
    this.#seqs.splice(at, 0, message.seq);
    if (next === undefined) this.#append(element);
    else this.#content.insertBefore(element, leadOf(next));
    this.#dress(element, at);
    if (next !== undefined) this.#dress(next, at + 1);
    return element;
  }

  /** @param {HTMLElement} element */
  #append(element) {
    this.#presence = null;
    this.#content.append(element);
  }

  /**
   * Give a message its day, or join it to the group above.
   * @param {HTMLElement} element
   * @param {number} [at]
   */
  #dress(element, at = this.#seqs.indexOf(this.#messages.get(element)?.seq ?? -1)) {
    const message = /** @type {Message} */ (this.#messages.get(element));
    const above = this.#elements.get(this.#seqs[at - 1] ?? -1);
    const previous = above && this.#messages.get(above);
    const isNewDay = previous === undefined || !isSameDay(previous, message);
    const lead = leadOf(element);
    const hasDay = lead.classList.contains("day");
    if (!isNewDay && hasDay) lead.remove();
    if (isNewDay && !hasDay) lead.before(separator(message.at));
    const isNeighbour = !isNewDay && element.previousElementSibling === above;
    element.classList.toggle("more", isNeighbour && isSameGroup(previous, message));
  }

  #firstInView() {
    return this.#elements.get(this.#seqs[this.#indexAt(this.getBoundingClientRect().top)] ?? -1);
  }

  /** The place of the first message that ends below a line, found by halving: there may be hundreds. @param {number} y */
  #indexAt(y) {
    let low = 0;
    let high = this.#seqs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const seq = /** @type {number} */ (this.#seqs[middle]);
      const box = this.#elements.get(seq)?.getBoundingClientRect();
      if (box && box.bottom > y) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The element that a message begins with: its day, the "New" line, or itself. @param {HTMLElement} element */
function leadOf(element) {
  let lead = element;
  for (const kind of ["new", "day"]) {
    const before = lead.previousElementSibling;
    if (before instanceof HTMLElement && before.classList.contains(kind)) lead = before;
  }
  return lead;
}
