/** One room's ordered events: applied, old or gap; and the messages they make. */

import { isEdited, isPosted } from "./protocol.js";

/** @import {Cursor, Deleted, Edited, Event, HistoryFrame, JoinFrame, Posted} from "./protocol.js" */

/**
 * A message as it stands; `asOf` is the last event that this state includes.
 * @typedef {{seq: number, username: string, text: string | null, type: number, at: string, edited: boolean, deleted: boolean, asOf: number}} Message
 */

/** @typedef {{verdict: "applied" | "old" | "gap", message: Message | null}} Taken */

export class RoomLog {
  /** The last event applied; null until the room was joined. @type {number | null} */
  #cursor = null;
  #epoch = "";
  /** @type {Map<number, Message>} */
  #messages = new Map();
  /** The newest change of each message, for pages read before it happened. @type {Map<number, Edited | Deleted>} */
  #changes = new Map();
  #oldest = Number.POSITIVE_INFINITY;

  /** Whether the server has older messages than those held. */
  more = false;
  /** Whether a page of history is on its way. */
  isLoading = false;
  /** Whether the newest page has come. */
  isPaged = false;

  /** @returns {Cursor | null} */
  get cursor() {
    return this.#cursor === null ? null : { since: this.#cursor, epoch: this.#epoch };
  }

  /** Where the next older page ends; undefined asks for the newest. */
  get before() {
    return this.isPaged && this.#messages.size ? this.#oldest : undefined;
  }

  /**
   * Take a join reply. True: the log starts (over) at the head and wants history.
   * @param {JoinFrame} frame
   */
  joined(frame) {
    const startsOver = this.#cursor === null || frame.reset === true;
    this.#epoch = frame.epoch;
    if (!startsOver) return false;
    this.#messages.clear();
    this.#changes.clear();
    this.#oldest = Number.POSITIVE_INFINITY;
    this.#cursor = frame.head;
    this.more = frame.head >= frame.floor;
    this.isPaged = false;
    this.isLoading = false;
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
   * Fold a page of history in; what was changed since it was read stays changed.
   * @param {HistoryFrame} page
   * @returns {Message[]} those that are new or brought up to date, oldest first
   */
  fold(page) {
    this.isLoading = false;
    this.isPaged = true;
    this.more = page.more;
    return page.events
      .filter((posted) => !this.#isCurrent(posted.seq, page.as_of))
      .map((posted) => this.#hold(posted, page.as_of));
  }

  /**
   * Let go of what is far above the reader; it can be asked for again.
   * @param {number} seq the oldest message that stays
   */
  dropBefore(seq) {
    for (const held of this.#messages.keys()) if (held < seq) this.#messages.delete(held);
    this.#oldest = seq;
    this.more = true;
  }

  /** @param {number} seq @param {number} asOf */
  #isCurrent(seq, asOf) {
    const held = this.#messages.get(seq);
    return held !== undefined && held.asOf >= asOf;
  }

  /** @param {Event} event */
  #apply(event) {
    // A page may have brought a message before its own event came.
    if (isPosted(event)) return this.#messages.get(event.seq) ?? this.#hold(event, event.seq);
    const target = isEdited(event) ? event.edited : event.deleted;
    this.#changes.set(target, event);
    const message = this.#messages.get(target);
    return message === undefined ? null : change(message, event);
  }

  /**
   * @param {Posted} posted
   * @param {number} asOf
   */
  #hold(posted, asOf) {
    const message = this.#messages.get(posted.seq) ?? blank(posted);
    message.text = posted.message;
    message.edited = posted.edited_at !== undefined;
    message.deleted = posted.deleted === true;
    message.asOf = asOf;
    this.#messages.set(message.seq, message);
    this.#oldest = Math.min(this.#oldest, message.seq);
    const later = this.#changes.get(message.seq);
    return later === undefined ? message : change(message, later);
  }
}

/**
 * @param {Posted} posted
 * @returns {Message}
 */
function blank({ seq, username, msg_type, at }) {
  return { seq, username, type: msg_type, at, text: null, edited: false, deleted: false, asOf: 0 };
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
