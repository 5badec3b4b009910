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
/** @import {Edges} from "./workspace.js" */

/** So many are held, and trimmed to fewer, so that it is not done at every message. */
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
  /** Whether there is more of the log than is held. @type {Edges} */
  #edges = { more: true, newer: false };
  below = 0;
  /** The message that was looked for. @type {HTMLElement | undefined} */
  #found;
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
    this.#scroll = new Scroll(this, part(this, "content"), scrolled, {
      firstInView: () => this.#firstInView(),
      isAtHead: () => this.isAtHead,
    });
  }

  get #content() {
    return part(this, "messages");
  }

  get isAtBottom() {
    return this.#scroll?.isAtBottom ?? true;
  }

  /** Whether nothing newer is to be loaded. */
  get isAtHead() {
    return !this.#edges.newer;
  }

  get wantsOlder() {
    return this.#edges.more && (this.#scroll?.isNearTop ?? false);
  }

  get wantsNewer() {
    return !this.isAtHead && (this.#scroll?.isNearEnd ?? false);
  }

  clear() {
    this.#elements.clear();
    this.#messages.clear();
    this.#seqs = [];
    this.#presence = null;
    this.below = 0;
    this.#keepFocus(() => this.#content.replaceChildren());
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
      if (this.#newAfter !== null && !this.hasNew) this.#divide();
    };
    // What is appended moves nothing: no need to look for an anchor (and force a layout).
    if (isOnlyNew) put();
    else this.keepStill(put);
    part(this, "empty").hidden = this.#seqs.length > 0;
    this.follow();
  }

  /** Show a message that was just posted or changed: not below a hole. @param {Message} message */
  showLive(message) {
    if (this.isAtHead || this.#elements.has(message.seq)) this.show([message]);
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
    if (this.#newAfter === null) return false; // before a layout is asked for
    if (!this.hasNew) return !this.firstNew(this.#newAfter).isKnown;
    const { top } = this.getBoundingClientRect();
    return this.#divider.getBoundingClientRect().bottom < top;
  }

  get hasNew() {
    return this.#divider.isConnected;
  }

  /** Bring the first new message into view, a little below the top. */
  toNew() {
    if (!this.hasNew) return this.toBottom();
    this.#toElement(this.#divider, NEW_AT_PX);
  }

  /** The first unread message, and whether nothing between `read` and it is missing here. @param {number} read */
  firstNew(read) {
    const at = this.#seqs.findIndex((seq) => seq > read);
    const seq = at < 0 ? undefined : this.#seqs.slice(at).find((one) => this.#isOthers(one));
    return { seq, isKnown: at !== 0 || !this.#edges.more };
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
    const { seq, isKnown } = this.firstNew(this.#newAfter ?? Number.POSITIVE_INFINITY);
    const element = isKnown ? this.#elements.get(seq ?? -1) : undefined;
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
   * @param {Edges} edges
   */
  showPage(messages, edges) {
    this.#edges = edges;
    const presence = this.#presence;
    this.show(messages);
    this.#scroll?.settle();
    if (presence === null || presence === this.#presence) return;
    this.#content.append(presence.line);
    this.#presence = presence;
  }

  /** Bring a message into view and mark it. @param {number} seq */
  find(seq) {
    this.#found?.classList.remove("found");
    this.#found = this.#elements.get(seq);
    if (!this.#found) return this.toBottom();
    this.#found.classList.add("found");
    this.#found.classList.remove("more"); // its author may be out of view
    this.#toElement(this.#found, this.clientHeight / 4);
    this.#found.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} element @param {number} px below the top */
  #toElement(element, px) {
    this.#scroll?.by(element.getBoundingClientRect().top - this.getBoundingClientRect().top - px);
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
    if (!this.isAtHead) return;
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
    if (!this.isAtHead) return undefined;
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
   * Forget what is far from what is read, at the end that is farther.
   * @returns {[number, number] | null} the first and the last message that stayed, if any went
   */
  trim() {
    const excess = this.#seqs.length - AT_MOST > 0 ? this.#seqs.length - KEPT : 0;
    if (excess === 0) return null;
    const isFromTop =
      this.isAtBottom || this.#indexAt(this.getBoundingClientRect().top) * 2 > this.#seqs.length;
    const gone = isFromTop ? this.#seqs.splice(0, excess) : this.#seqs.splice(-excess);
    this.keepStill(() => this.#keepFocus(() => this.#drop(gone, isFromTop)));
    return [/** @type {number} */ (this.#seqs[0]), /** @type {number} */ (this.#seqs.at(-1))];
  }

  /** The keys stay in the log when the message that had them goes. @param {() => void} change */
  #keepFocus(change) {
    const hadFocus = this.#content.contains(document.activeElement);
    change();
    if (hadFocus && !this.#content.contains(document.activeElement))
      this.focus({ preventScroll: true });
  }

  /** @param {number[]} seqs @param {boolean} isFromTop */
  #drop(seqs, isFromTop) {
    const range = document.createRange();
    range.selectNodeContents(this.#content);
    const [first, last] = [this.#seqs[0] ?? -1, this.#seqs.at(-1) ?? -1];
    const element = /** @type {HTMLElement} */ (this.#elements.get(isFromTop ? first : last));
    if (isFromTop) range.setEndBefore(leadOf(element));
    else range.setStartAfter(element);
    range.deleteContents();
    for (const seq of seqs) {
      this.#messages.delete(/** @type {HTMLElement} */ (this.#elements.get(seq)));
      this.#elements.delete(seq);
    }
    if (isFromTop) this.#dress(element, 0);
    else this.#presence = null;
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
    fill(element, message, this.#me);
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
    if (next !== undefined) this.#dress(next, at + 1, false);
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
   * @param {boolean} [mayJoin] not what may be read just now: without its author it would be less high
   */
  #dress(element, at = this.#seqs.indexOf(this.#messages.get(element)?.seq ?? -1), mayJoin = true) {
    const message = /** @type {Message} */ (this.#messages.get(element));
    const above = this.#elements.get(this.#seqs[at - 1] ?? -1);
    const previous = above && this.#messages.get(above);
    const isNewDay = previous === undefined || !isSameDay(previous, message);
    const lead = leadOf(element);
    const hasDay = lead.classList.contains("day");
    if (!isNewDay && hasDay) lead.remove();
    if (isNewDay && !hasDay) lead.before(separator(message.at));
    const isNeighbour = !isNewDay && element.previousElementSibling === above;
    const isMore = isNeighbour && isSameGroup(previous, message);
    if (mayJoin || !isMore) element.classList.toggle("more", isMore);
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
