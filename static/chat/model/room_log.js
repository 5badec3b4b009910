/** One room's ordered events: applied, old or gap; and the window of messages that is held. */

import { isEdited, isOvertaken, isPosted } from "./protocol.js";

/** @import {Cursor, Deleted, Edited, Event, HistoryFrame, JoinFrame, Posted} from "./protocol.js" */

/**
 * A message as it stands; `asOf` is the last event that this state includes.
 * @typedef {{seq: number, user?: number | undefined, username: string, text: string | null, type: number, at: string, edited: boolean, deleted: boolean, asOf: number}} Message
 */

/** @typedef {{verdict: "applied" | "old" | "gap", message: Message | null}} Taken */

/**
 * Where a page of history is; nothing: the newest.
 * @typedef {{before?: number, after?: number, around?: number, from?: string}} Place
 */

/** A page to ask for. `arrived` is told what is in it when it is another part of the log. @typedef {{place: Place, arrived?: (messages: Message[]) => void}} Page */

/** What a page brought: `isElsewhere` when nothing held before it is held any more. @typedef {{messages: Message[], isElsewhere: boolean, arrived?: Page["arrived"]}} Folded */

export class RoomLog {
  /** The last event applied; null until the room was joined. @type {number | null} */
  #cursor = null;
  #epoch = "";
  /** The messages held are a window of the log: all from the oldest to the newest of them. @type {Map<number, Message>} */
  #messages = new Map();
  /** The newest change of each message since the page on its way was asked for: it may have been read before. @type {Map<number, Edited | Deleted>} */
  #changes = new Map();
  #oldest = Number.POSITIVE_INFINITY;
  #newest = 0;
  /** The last message that was posted, held or not. */
  #lastPosted = 0;

  /** Whether the server has older messages than those held. */
  hasOlder = false;
  /** Whether it has newer ones: what is posted is then not held, for there would be a hole before it. */
  hasNewer = false;
  /** Whether a page has come. */
  hasPage = false;
  /** The page on its way. @type {Page | null} */
  requested = null;
  /** Another part of the log to go to, until its page is there. @type {Page | null} */
  pendingJump = null;

  /** @returns {Cursor | null} */
  get cursor() {
    return this.#cursor === null ? null : { since: this.#cursor, epoch: this.#epoch };
  }

  /**
   * Take a join reply. True: the log starts (over) at the head and wants history.
   * @param {JoinFrame} frame
   */
  applyJoin(frame) {
    const startsOver = this.#cursor === null || frame.reset === true;
    this.#epoch = frame.epoch;
    if (!startsOver) return false;
    this.#forgetMessages();
    this.#changes.clear();
    this.#lastPosted = 0;
    this.#cursor = frame.head;
    this.hasOlder = frame.head >= frame.floor;
    this.hasNewer = false;
    // Of an empty log there is no page to wait for.
    this.hasPage = !this.hasOlder;
    this.requested = null;
    return true;
  }

  /**
   * The one rule: an event is applied only if it is the next one.
   * @param {Event} event
   * @returns {Taken}
   */
  applyEvent(event) {
    if (this.#cursor === null || event.seq <= this.#cursor)
      return { verdict: "old", message: null };
    if (event.seq > this.#cursor + 1) return { verdict: "gap", message: null };
    this.#cursor = event.seq;
    return { verdict: "applied", message: this.#applyNext(event) };
  }

  /**
   * The page to ask for now; null while one is on its way, or when there is none.
   * @param {"older" | "newer"} [way]
   * @returns {Page | null}
   */
  nextPage(way) {
    if (this.#cursor === null || this.requested) return null;
    if (this.pendingJump) return this.pendingJump;
    if (!this.hasPage || !this.#messages.size) return this.hasOlder ? { place: {} } : null;
    if (way === "older" && this.hasOlder) return { place: { before: this.#oldest } };
    if (way === "newer" && this.hasNewer) return { place: { after: this.#newest } };
    return null;
  }

  /** It was asked for: all that was changed before is in it. @param {Page} page */
  setRequested(page) {
    this.requested = page;
    this.#changes.clear();
  }

  /**
   * Fold the page of history that was asked for in; what was changed since it was read stays changed.
   * @param {HistoryFrame} page
   * @returns {Folded}
   */
  applyPage(page) {
    const { place, arrived } = this.requested ?? { place: {} };
    // The newest page has nothing newer: this one was asked for before the log was started over.
    if (this.requested && !Object.keys(place).length && page.newer)
      return { messages: [], isElsewhere: false };
    const isJump = arrived !== undefined && this.requested === this.pendingJump;
    this.requested = null;
    if (arrived && !isJump) return { messages: [], isElsewhere: false }; // asked for another one since
    if (isJump) this.pendingJump = null;
    // The window's end that it continues may have been let go of meanwhile.
    const isLoose = (place.before ?? this.#oldest) !== this.#oldest;
    if (isLoose || (place.after ?? this.#newest) !== this.#newest)
      return { messages: [], isElsewhere: false };
    const isNowhere = place.from !== undefined && !page.events.length;
    if (isNowhere) return { messages: [], isElsewhere: false, arrived };
    // Live events that came before the first page are all older than it: there may be a hole between.
    const isApart = page.more && (page.events[0]?.seq ?? 0) > this.#newest && this.#newest > 0;
    const isElsewhere = isJump || (!Object.keys(place).length && isApart);
    if (isElsewhere) this.#forgetMessages();
    this.hasPage = true;
    if (place.after === undefined) this.hasOlder = page.more;
    // What was posted after the page was read, and not held because it was not for this window, is still to come.
    if (isElsewhere || place.after !== undefined)
      this.hasNewer = page.newer === true || page.as_of < this.#lastPosted;
    const messages = page.events
      .filter((posted) => !this.#isCurrent(posted.seq, page.as_of))
      .map((posted) => this.#holdMessage(posted, page.as_of));
    return { messages, isElsewhere, arrived };
  }

  /**
   * Let go of what is far from the reader; it can be asked for again.
   * @param {number} first the oldest message that stays
   * @param {number} last the newest
   */
  trimTo(first, last) {
    for (const seq of this.#messages.keys())
      if (seq < first || seq > last) this.#messages.delete(seq);
    this.hasOlder ||= first > this.#oldest;
    this.hasNewer ||= last < this.#newest;
    this.#oldest = first;
    this.#newest = last;
  }

  #forgetMessages() {
    this.#messages.clear();
    this.#oldest = Number.POSITIVE_INFINITY;
    this.#newest = 0;
  }

  /** @param {number} seq @param {number} asOf */
  #isCurrent(seq, asOf) {
    const held = this.#messages.get(seq);
    return held !== undefined && held.asOf >= asOf;
  }

  /** @param {Event} event */
  #applyNext(event) {
    if (isPosted(event)) {
      this.#lastPosted = event.seq;
      // A page may have brought a message before its own event came.
      const held = this.#messages.get(event.seq);
      // Above the window, when a page was faster than the events: it is held when it is read back.
      const isBeyond = this.hasNewer || event.seq < this.#newest;
      return (
        held ??
        (isBeyond
          ? fillMessage(newMessage(event), event, event.seq)
          : this.#holdMessage(event, event.seq))
      );
    }
    // Its text is gone, and the edit that replaced it is still to come: what is shown stays.
    if (isOvertaken(event)) return null;
    const target = isEdited(event) ? event.edited : event.deleted;
    if (this.requested) this.#changes.set(target, event);
    const message = this.#messages.get(target);
    return message === undefined ? null : applyChange(message, event);
  }

  /**
   * @param {Posted} posted
   * @param {number} asOf
   */
  #holdMessage(posted, asOf) {
    const message = fillMessage(this.#messages.get(posted.seq) ?? newMessage(posted), posted, asOf);
    this.#messages.set(message.seq, message);
    this.#oldest = Math.min(this.#oldest, message.seq);
    this.#newest = Math.max(this.#newest, message.seq);
    const later = this.#changes.get(message.seq);
    return later === undefined ? message : applyChange(message, later);
  }
}

/**
 * @param {Posted} posted
 * @returns {Message}
 */
function newMessage({ seq, user, username, msg_type: type, at }) {
  return { seq, user, username, type, at, text: null, edited: false, deleted: false, asOf: 0 };
}

/**
 * @param {Message} message
 * @param {Posted} posted
 * @param {number} asOf
 */
function fillMessage(message, posted, asOf) {
  message.text = posted.message;
  message.edited = posted.edited_at !== undefined;
  message.deleted = posted.deleted === true;
  message.asOf = asOf;
  return message;
}

/**
 * @param {Message} message
 * @param {Edited | Deleted} event
 */
function applyChange(message, event) {
  if (event.seq <= message.asOf) return message;
  message.asOf = event.seq;
  message.text = isEdited(event) ? event.message : null;
  message.edited = true;
  message.deleted = message.text === null;
  return message;
}
