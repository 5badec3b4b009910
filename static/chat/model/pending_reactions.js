/**
 * Reactions that were given or taken back here and are not in the log yet. Each is stored, and sent until it is
 * acknowledged, under one client_id. Those of a closed tab, or of the page before a reload, are sent here.
 */

import { uuid } from "./outbox_store.js";
import { isTransient } from "./protocol.js";
import { storedAt, withReaction } from "./reactions.js";
import { Records } from "./records.js";

/** @import {Outcome} from "./changes.js" */
/** @import {Store} from "./outbox_store.js" */
/** @import {Change, ErrorFrame, Event} from "./protocol.js" */
/** @import {Reaction} from "./reactions.js" */
/** @import {Tabs} from "./tabs.js" */

/** `at`: when its user gave it, `tab`: the one that sends it. @typedef {{clientId: string, room: string, seq: number, emoji: string, on: boolean, epoch: string | undefined, at: number, tab: string}} Stored */
/** `ackedAt`: the event that made the state, while it has not arrived; `isSent`: an answer is due. @typedef {Stored & {ackedAt: number | null, isSent: boolean}} Pending */
/**
 * @typedef {{
 *   me: {id: number, username: string},
 *   store: Store,
 *   tabs: Pick<Tabs, "id" | "isClosed">,
 *   change: (change: Change, outcome: Outcome, clientId: string) => void,
 *   epochOf: (room: string) => string | undefined,
 *   cursorOf: (room: string) => number,
 *   changed: (room: string, seq: number) => void,
 *   refused: (room: string, frame: ErrorFrame) => void,
 * }} ReactionPage
 */

const RETRY_AFTER_S = 2;
/** What is older is forgotten: meanwhile its user may have changed it elsewhere, and its room may never be opened again. */
const KEPT_MS = 86_400_000;

export class PendingReactions {
  #page;
  /** In the order in which the user gave them. @type {Pending[]} */
  #items = [];
  /** @type {Records<Stored>} */
  #records;

  /** @param {ReactionPage} page */
  constructor(page) {
    this.#page = page;
    this.#records = new Records(storedAt(page.me.id), page.store, { parse, isShared: true });
    for (const tab of new Set(this.#records.all.map(([, stored]) => stored.tab)))
      if (tab !== page.tabs.id)
        page.tabs.isClosed(tab).then((isClosed) => isClosed && this.#inheritFrom(tab));
  }

  /** Give a message an emoji, or take it back. @param {string} room @param {number} seq @param {string} emoji @param {boolean} on */
  react(room, seq, emoji, on) {
    // A command that was made for one log must not act on another.
    const epoch = this.#page.epochOf(room);
    const { id: tab } = this.#page.tabs;
    const stored = { clientId: uuid(), room, seq, emoji, on, epoch, at: Date.now(), tab };
    const item = { ...stored, ackedAt: null, isSent: false };
    this.#records.save(stored.clientId, stored);
    this.#items.push(item);
    this.#sendIfJoined(item);
    this.#page.changed(room, seq);
  }

  /** Send what a closed tab did not. @param {string} closed */
  #inheritFrom(closed) {
    this.#records.loadAll();
    const { id: tab } = this.#page.tabs;
    const left = this.#records.all
      .map(([, stored]) => stored)
      .filter((each) => each.tab === closed);
    /** @type {Pending[]} */
    const inherited = [];
    for (const stored of left) {
      if (isOld(stored)) this.#records.remove(stored.clientId);
      else {
        this.#records.save(stored.clientId, { ...stored, tab });
        inherited.push({ ...stored, tab, ackedAt: null, isSent: false });
      }
    }
    this.#items = [...inherited, ...this.#items].sort((a, b) => a.at - b.at);
    // Only the last one of each emoji counts. Those before it may be written already.
    for (const item of this.#items.filter((each) => this.#isOvertaken(each) && !each.isSent))
      this.#remove(item);
    for (const room of new Set(left.map((each) => each.room)))
      if (this.#page.cursorOf(room)) this.roomJoined(room);
    for (const { room, seq } of left) this.#page.changed(room, seq);
  }

  /**
   * The reactions of a message together with those that are on their way.
   * @param {string} room
   * @param {{seq: number, reactions: Reaction[]}} message
   * @returns {(Reaction & {isPending: boolean})[]}
   */
  shownOf(room, { seq, reactions }) {
    const { id: user, username } = this.#page.me;
    const items = this.#items.filter((item) => item.room === room && item.seq === seq);
    let shown = reactions;
    for (const { emoji, on } of items) {
      if ((shown.find((each) => each.emoji === emoji)?.own ?? false) === on) continue;
      const event = { room, reacted: seq, emoji, user, username, on, seq: 0, at: "" };
      shown = withReaction(shown, event, user);
    }
    return shown.map((each) => ({
      ...each,
      isPending: items.some(({ emoji }) => emoji === each.emoji),
    }));
  }

  /** The room is joined: send what was not acknowledged before the connection was lost. @param {string} room */
  roomJoined(room) {
    const { epochOf, cursorOf } = this.#page;
    for (const item of this.#items.filter((each) => each.room === room)) {
      const isApplied = item.ackedAt !== null && cursorOf(room) >= item.ackedAt;
      if (isApplied || item.epoch !== epochOf(room) || isOld(item)) this.#remove(item);
      else if (item.ackedAt === null && !item.isSent) this.#send(item);
    }
  }

  /** @param {string} room @param {Event} event */
  eventApplied(room, event) {
    for (const item of this.#items.filter((each) => each.room === room)) {
      const isOwn = event.client_id === item.clientId;
      if (isOwn || (item.ackedAt !== null && event.seq >= item.ackedAt)) this.#remove(item);
    }
  }

  /** In a room that is not joined, it would be refused for good. There it is sent by `roomJoined`. @param {Pending} item */
  #sendIfJoined(item) {
    if (this.#page.cursorOf(item.room)) this.#send(item);
  }

  /** @param {Pending} item */
  #send(item) {
    const { room, seq, emoji, on, epoch } = item;
    item.isSent = true;
    this.#page.change(
      { command: "react", room, seq, emoji, on, ...(epoch && { epoch }) },
      { done: (at) => this.#acked(item, at), failed: (frame) => this.#failed(item, frame) },
      item.clientId,
    );
  }

  /** @param {Pending} item @param {number} at */
  #acked(item, at) {
    item.isSent = false;
    item.ackedAt = at;
    this.#records.remove(item.clientId);
    // Otherwise it stays until its event arrives, so that it never disappears in between.
    if (this.#page.cursorOf(item.room) >= at) this.#remove(item);
  }

  /** @param {Pending} item @param {ErrorFrame} [frame] */
  #failed(item, frame) {
    item.isSent = false;
    if (frame === undefined) return; // it is sent again after the room is joined again
    if (!isTransient(frame)) {
      this.#remove(item);
      return this.#page.refused(item.room, frame);
    }
    const again = () => {
      if (!this.#items.includes(item) || item.ackedAt !== null || item.isSent) return;
      // What the user did later with the same emoji counts, and may be written already.
      if (this.#isOvertaken(item)) this.#remove(item);
      else this.#sendIfJoined(item);
    };
    if (this.#isOvertaken(item)) again();
    else setTimeout(again, (frame.retry_after ?? RETRY_AFTER_S) * 1000);
  }

  /** @param {Pending} item */
  #isOvertaken({ room, seq, emoji, clientId }) {
    const same = this.#items.filter(
      (each) => each.room === room && each.seq === seq && each.emoji === emoji,
    );
    return same.at(-1)?.clientId !== clientId;
  }

  /** @param {Pending} item */
  #remove(item) {
    this.#records.remove(item.clientId);
    if (!this.#items.includes(item)) return;
    this.#items = this.#items.filter((each) => each !== item);
    this.#page.changed(item.room, item.seq);
  }
}

/** @param {Stored} stored */
function isOld({ at }) {
  return Date.now() - at > KEPT_MS;
}

/** @param {string} text @returns {Stored | null} */
function parse(text) {
  try {
    const stored = JSON.parse(text);
    const isValid = [stored?.clientId, stored?.room, stored?.emoji, stored?.tab].every(
      (value) => typeof value === "string",
    );
    return isValid && Number.isInteger(stored.seq) ? stored : null;
  } catch {
    return null;
  }
}
