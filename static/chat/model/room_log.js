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
  #posted = 0;

  /** Whether the server has older messages than those held. */
  more = false;
  /** Whether it has newer ones: what is posted is then not held, for there would be a hole before it. */
  newer = false;
  /** Whether a page has come. */
  isPaged = false;
  /** The page on its way. @type {Page | null} */
  asked = null;
  /** Another part of the log to go to, until its page is there. @type {Page | null} */
  jump = null;

  /** @returns {Cursor | null} */
  get cursor() {
    return this.#cursor === null ? null : { since: this.#cursor, epoch: this.#epoch };
  }

  /**
   * Take a join reply. True: the log starts (over) at the head and wants history.
   * @param {JoinFrame} frame
   */
  joined(frame) {
    const startsOver = this.#cursor === null || frame.reset === true;
    this.#epoch = frame.epoch;
    if (!startsOver) return false;
    this.#forget();
    this.#changes.clear();
    this.#posted = 0;
    this.#cursor = frame.head;
    this.more = frame.head >= frame.floor;
    this.newer = false;
    // Of an empty log there is no page to wait for.
    this.isPaged = !this.more;
    this.asked = null;
    return true;
  }

  /**
   * The one rule: an event is applied only if it is the next one.
   * @param {Event} event
   * @returns {Taken}
   */
  take(event) {
    if (this.#cursor === null || event.seq <= this.#cursor)
      return { verdict: "old", message: null };
    if (event.seq > this.#cursor + 1) return { verdict: "gap", message: null };
    this.#cursor = event.seq;
    return { verdict: "applied", message: this.#apply(event) };
  }

  /**
   * The page to ask for now; null while one is on its way, or when there is none.
   * @param {"older" | "newer"} [way]
   * @returns {Page | null}
   */
  next(way) {
    if (this.#cursor === null || this.asked) return null;
    if (this.jump) return this.jump;
    if (!this.isPaged || !this.#messages.size) return this.more ? { place: {} } : null;
    if (way === "older" && this.more) return { place: { before: this.#oldest } };
    if (way === "newer" && this.newer) return { place: { after: this.#newest } };
    return null;
  }

  /** It was asked for: all that was changed before is in it. @param {Page} page */
  ask(page) {
    this.asked = page;
    this.#changes.clear();
  }

  /**
   * Fold the page of history that was asked for in; what was changed since it was read stays changed.
   * @param {HistoryFrame} page
   * @returns {Folded}
   */
  fold(page) {
    const { place, arrived } = this.asked ?? { place: {} };
    // The newest page has nothing newer: this one was asked for before the log was started over.
    if (this.asked && !Object.keys(place).length && page.newer)
      return { messages: [], isElsewhere: false };
    const isJump = arrived !== undefined && this.asked === this.jump;
    this.asked = null;
    if (arrived && !isJump) return { messages: [], isElsewhere: false }; // asked for another one since
    if (isJump) this.jump = null;
    // The window's end that it continues may have been let go of meanwhile.
    const isLoose = (place.before ?? this.#oldest) !== this.#oldest;
    if (isLoose || (place.after ?? this.#newest) !== this.#newest)
      return { messages: [], isElsewhere: false };
    const isNowhere = place.from !== undefined && !page.events.length;
    if (isNowhere) return { messages: [], isElsewhere: false, arrived };
    // Live events that came before the first page are all older than it: there may be a hole between.
    const isApart = page.more && (page.events[0]?.seq ?? 0) > this.#newest && this.#newest > 0;
    const isElsewhere = isJump || (!Object.keys(place).length && isApart);
    if (isElsewhere) this.#forget();
    this.isPaged = true;
    if (place.after === undefined) this.more = page.more;
    // What was posted after the page was read, and not held because it was not for this window, is still to come.
    if (isElsewhere || place.after !== undefined)
      this.newer = page.newer === true || page.as_of < this.#posted;
    const messages = page.events
      .filter((posted) => !this.#isCurrent(posted.seq, page.as_of))
      .map((posted) => this.#hold(posted, page.as_of));
    return { messages, isElsewhere, arrived };
  }

  /**
   * Let go of what is far from the reader; it can be asked for again.
   * @param {number} first the oldest message that stays
   * @param {number} last the newest
   */
  keepOnly(first, last) {
    for (const seq of this.#messages.keys())
      if (seq < first || seq > last) this.#messages.delete(seq);
    this.more ||= first > this.#oldest;
    this.newer ||= last < this.#newest;
    this.#oldest = first;
    this.#newest = last;
  }

  #forget() {
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
  #apply(event) {
    if (isPosted(event)) {
      this.#posted = event.seq;
      // A page may have brought a message before its own event came.
      const held = this.#messages.get(event.seq);
      // Above the window, when a page was faster than the events: it is held when it is read back.
      const isBeyond = this.newer || event.seq < this.#newest;
      return (
        held ?? (isBeyond ? bring(blank(event), event, event.seq) : this.#hold(event, event.seq))
      );
    }
    // Its text is gone, and the edit that replaced it is still to come: what is shown stays.
    if (isOvertaken(event)) return null;
    const target = isEdited(event) ? event.edited : event.deleted;
    if (this.asked) this.#changes.set(target, event);
    const message = this.#messages.get(target);
    return message === undefined ? null : change(message, event);
  }

  /**
   * @param {Posted} posted
   * @param {number} asOf
   */
  #hold(posted, asOf) {
    const message = bring(this.#messages.get(posted.seq) ?? blank(posted), posted, asOf);
    this.#messages.set(message.seq, message);
    this.#oldest = Math.min(this.#oldest, message.seq);
    this.#newest = Math.max(this.#newest, message.seq);
    const later = this.#changes.get(message.seq);
    return later === undefined ? message : change(message, later);
  }
}

/**
 * @param {Posted} posted
 * @returns {Message}
 */
function blank({ seq, user, username, msg_type: type, at }) {
  return { seq, user, username, type, at, text: null, edited: false, deleted: false, asOf: 0 };
}

/**
 * @param {Message} message
 * @param {Posted} posted
 * @param {number} asOf
 */
function bring(message, posted, asOf) {
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
function change(message, event) {
  if (event.seq <= message.asOf) return message;
  message.asOf = event.seq;
  message.text = isEdited(event) ? event.message : null;
  message.edited = true;
  message.deleted = message.text === null;
  return message;
}
