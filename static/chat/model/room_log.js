/** A room's events, applied in order, and the window of its messages that the page holds. */

import { confirmationsOf, withConfirmation } from "./confirmations.js";
import { isConfirmed, isEdited, isOvertaken, isPosted, isReacted, isResolved } from "./protocol.js";
import { reactionsOf, withReaction } from "./reactions.js";

/** @import {Confirmation} from "./confirmations.js" */
/** @import {Confirmed, Cursor, Deleted, Edited, Event, HistoryFrame, JoinFrame, Mentioned, Posted, Reacted, Resolution, Resolved, Source} from "./protocol.js" */
/** @import {FileFacts} from "./files.js" */
/** @import {Reaction} from "./reactions.js" */

/** What changes a message that is there already. @typedef {Edited | Deleted | Reacted | Confirmed | Resolved} MessageChange */

/**
 * A message in its current state; `asOf` is the seq of the last event that this state includes, `replyTo` that of the
 * message it answers, `across` shared by its copies in other rooms, and `source` the message that it quotes.
 * @typedef {{seq: number, user?: number | undefined, username: string, text: string | null, type: number, at: string, edited: boolean, deleted: boolean, takenBack: boolean, replyTo?: number | undefined, across?: string | undefined, source?: Source | undefined, files: FileFacts[], mentions: Mentioned[], reactions: Reaction[], confirmations: Confirmation, resolution: Resolution | null, asOf: number}} Message
 */

/** @typedef {{verdict: "applied" | "old" | "gap", message: Message | null}} Applied */

/**
 * Which page of history; an empty object means the newest.
 * @typedef {{before?: number, after?: number, around?: number, from?: string}} HistoryPlace
 */

/** A page to request. `arrived` is called with the messages if the page is the target of a jump. @typedef {{place: HistoryPlace, arrived?: (messages: Message[]) => void}} HistoryRequest */

/** The result of a page. `isElsewhere`: the page replaced the window. @typedef {{messages: Message[], isElsewhere: boolean, arrived?: HistoryRequest["arrived"]}} AppliedPage */

export class RoomLog {
  /** The seq of the last applied event; null until the room is joined. @type {number | null} */
  #cursor = null;
  #epoch = "";
  /** The window: all messages of the log between two ends. @type {Map<number, Message>} */
  #messages = new Map();
  /** The changes of each message since a page was requested, because the page may be read before them. @type {Map<number, MessageChange[]>} */
  #changes = new Map();
  #oldest = Number.POSITIVE_INFINITY;
  #newest = 0;
  /** The seq of the last posted message, held or not. */
  #lastPosted = 0;

  /** Whether the server has older messages than the window. */
  hasOlder = false;
  /** Whether the server has newer messages than the window. New messages are then not held, because there would be a gap before them. */
  hasNewer = false;
  /** Whether a page has arrived. */
  hasPage = false;
  /** The requested page. @type {HistoryRequest | null} */
  requested = null;
  /** The target of a jump, until its page arrives. @type {HistoryRequest | null} */
  pendingJump = null;
  #me;

  /** @param {number} [me] the reader's id */
  constructor(me) {
    this.#me = me;
  }

  /** @returns {Cursor | null} */
  get cursor() {
    return this.#cursor === null ? null : { since: this.#cursor, epoch: this.#epoch };
  }

  /**
   * Apply a join reply.
   * @param {JoinFrame} frame
   * @returns {boolean} whether the log starts, or starts over, at the head and needs history
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
    // An empty log has no page to wait for.
    this.hasPage = !this.hasOlder;
    this.requested = null;
    return true;
  }

  /**
   * Apply an event, only if it is the next one.
   * @param {Event} event
   * @returns {Applied}
   */
  applyEvent(event) {
    if (this.#cursor === null || event.seq <= this.#cursor)
      return { verdict: "old", message: null };
    if (event.seq > this.#cursor + 1) return { verdict: "gap", message: null };
    this.#cursor = event.seq;
    return { verdict: "applied", message: this.#applyNext(event) };
  }

  /**
   * The next page to request; null while a page is requested, or when there is none.
   * @param {"older" | "newer"} [way]
   * @returns {HistoryRequest | null}
   */
  nextPage(way) {
    if (this.#cursor === null || this.requested) return null;
    if (this.pendingJump) return this.pendingJump;
    if (!this.hasPage || !this.#messages.size) return this.hasOlder ? { place: {} } : null;
    if (way === "older" && this.hasOlder) return { place: { before: this.#oldest } };
    if (way === "newer" && this.hasNewer) return { place: { after: this.#newest } };
    return null;
  }

  /** The page was requested: it includes all changes up to now. @param {HistoryRequest} page */
  setRequested(page) {
    this.requested = page;
    this.#changes.clear();
  }

  /**
   * Apply the requested page of history. Changes that arrived since it was read are kept.
   * @param {HistoryFrame} page
   * @returns {AppliedPage}
   */
  applyPage(page) {
    const { place, arrived } = this.requested ?? { place: {} };
    // The newest page has nothing newer, so this one was requested before the log started over.
    if (this.requested && !Object.keys(place).length && page.newer)
      return { messages: [], isElsewhere: false };
    const isJump = arrived !== undefined && this.requested === this.pendingJump;
    this.requested = null;
    if (arrived && !isJump) return { messages: [], isElsewhere: false }; // another jump was requested since
    if (isJump) this.pendingJump = null;
    // The end of the window that this page continues may have been trimmed meanwhile.
    const isLoose = (place.before ?? this.#oldest) !== this.#oldest;
    if (isLoose || (place.after ?? this.#newest) !== this.#newest)
      return { messages: [], isElsewhere: false };
    const isNowhere = place.from !== undefined && !page.events.length;
    if (isNowhere) return { messages: [], isElsewhere: false, arrived };
    // All live events that arrived before the first page are older than it: there may be a gap in between.
    const isApart = page.more && (page.events[0]?.seq ?? 0) > this.#newest && this.#newest > 0;
    const isElsewhere = isJump || (!Object.keys(place).length && isApart);
    if (isElsewhere) this.#forgetMessages();
    this.hasPage = true;
    if (place.after === undefined) this.hasOlder = page.more;
    // Messages posted after the page was read, and not held because the window was elsewhere, are still to be loaded.
    if (isElsewhere || place.after !== undefined)
      this.hasNewer = page.newer === true || page.as_of < this.#lastPosted;
    const messages = page.events
      .filter((posted) => !this.#isCurrent(posted.seq, page.as_of))
      .map((posted) => this.#holdMessage(posted, page.as_of));
    return { messages, isElsewhere, arrived };
  }

  /**
   * Forget messages far from the reader. They can be requested again.
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

  /**
   * Forget the messages below the log's floor, which have expired.
   * @param {number} floor
   * @returns {boolean} whether messages were forgotten
   */
  raiseFloor(floor) {
    const before = this.#messages.size;
    for (const seq of this.#messages.keys()) if (seq < floor) this.#messages.delete(seq);
    if (this.#oldest >= floor) return false;
    this.#oldest = floor;
    this.hasOlder = false;
    return this.#messages.size < before;
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
      // A page may bring a message before its event arrives.
      const held = this.#messages.get(event.seq);
      // Without `hasNewer`, the message is above the window because a page overtook the events: a later page brings it.
      const isBeyond = this.hasNewer || event.seq < this.#newest;
      return (
        held ??
        (isBeyond
          ? fillMessage(newMessage(event), event, event.seq)
          : this.#holdMessage(event, event.seq))
      );
    }
    // A later edit, which is still to arrive, replaced this one: the message shown stays.
    // An event of a newer server, which this page does not know, changes nothing that is shown.
    if (isOvertaken(event)) return null;
    const target = targetOf(event);
    if (target === undefined) return null;
    if (this.requested) this.#changes.set(target, [...(this.#changes.get(target) ?? []), event]);
    const message = this.#messages.get(target);
    return message === undefined ? null : this.#applyChange(message, event);
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
    for (const change of this.#changes.get(message.seq) ?? []) this.#applyChange(message, change);
    return message;
  }

  /** @param {Message} message @param {MessageChange} event */
  #applyChange(message, event) {
    if (event.seq <= message.asOf) return message;
    message.asOf = event.seq;
    if (isReacted(event)) {
      if (!message.deleted) message.reactions = withReaction(message.reactions, event, this.#me);
      return message;
    }
    if (isConfirmed(event)) {
      message.confirmations = withConfirmation(message.confirmations, event, this.#me);
      return message;
    }
    if (isResolved(event)) {
      const { user, username, seq, at } = event;
      message.resolution = { ...(user !== undefined && { user }), username, seq, at };
      return message;
    }
    message.text = isEdited(event) ? event.message : null;
    message.mentions = isEdited(event) ? (event.mentions ?? []) : [];
    message.edited = true;
    message.deleted = message.text === null;
    if (message.deleted) {
      message.files = [];
      message.reactions = [];
      message.confirmations = confirmationsOf();
      message.resolution = null;
    }
    if (!isEdited(event)) message.takenBack = event.taken_back === true;
    return message;
  }
}

/** The seq of the message that an event changes; undefined for an event of a newer server. @param {MessageChange} event @returns {number | undefined} */
function targetOf(event) {
  if (isReacted(event)) return event.reacted;
  if (isConfirmed(event)) return event.confirmed;
  if (isResolved(event)) return event.resolved;
  return isEdited(event) ? event.edited : event.deleted;
}

/**
 * @param {Posted} posted
 * @returns {Message}
 */
function newMessage({
  seq,
  user,
  username,
  msg_type: type,
  at,
  reply_to: replyTo,
  across,
  source,
}) {
  const state = { text: null, edited: false, deleted: false, takenBack: false, asOf: 0 };
  const answers = {
    files: [],
    mentions: [],
    reactions: [],
    confirmations: confirmationsOf(),
    resolution: null,
  };
  return { seq, user, username, type, at, replyTo, across, source, ...state, ...answers };
}

/**
 * @param {Message} message
 * @param {Posted} posted
 * @param {number} asOf
 */
function fillMessage(message, posted, asOf) {
  message.text = posted.message;
  message.files = posted.files ?? [];
  message.mentions = posted.mentions ?? [];
  message.edited = posted.edited_at !== undefined;
  message.deleted = posted.deleted === true;
  message.takenBack = posted.taken_back === true;
  message.reactions = reactionsOf(posted.reactions);
  message.confirmations = confirmationsOf(posted.confirmations);
  message.resolution = posted.resolution ?? null;
  message.asOf = asOf;
  return message;
}
