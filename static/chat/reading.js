/** Sees what is read on this page, and shows what is not: counts, "New" lines, the way to the next unread. */

import { showBadge } from "./badge.js";
import { part } from "./templates.js";

/** @import {PaneRow} from "./pane_row.js" */
/** @import {HeadsFrame} from "./protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "./room_pane.js" */
/** @import {Unread} from "./unread.js" */

/** Long enough that what only flies by while scrolling was not read. */
const LOOK_AFTER_MS = 250;

export class Reading {
  #unread;
  #panes;
  #list;
  /** @type {(room: string) => void} */
  #open;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Panes to bring to their "New" line when it is there. @type {Set<string>} */
  #wanted = new Set();

  /**
   * @param {Unread} unread
   * @param {{panes: PaneRow, list: RoomList, open: (room: string) => void}} page
   */
  constructor(unread, { panes, list, open }) {
    this.#unread = unread;
    this.#panes = panes;
    this.#list = list;
    this.#open = open;
    unread.onchange = () => this.#show();
    unread.onmoved = (room, read) => this.#moved(room, read);
    window.addEventListener("focus", () => this.lookSoon());
    window.addEventListener("blur", () => this.#leave());
    window.addEventListener("resize", () => this.lookSoon());
    document.addEventListener("visibilitychange", () => this.lookSoon());
    part(document, "panes").addEventListener("scroll", () => this.lookSoon(), { passive: true });
    part(document, "next-unread").addEventListener("click", () => this.next(1));
  }

  connected() {
    this.#unread.connected();
  }

  /** @param {HeadsFrame["heads"]} heads */
  counted(heads) {
    this.#unread.take(heads);
    this.lookSoon();
  }

  /** @param {RoomPane} pane */
  opened(pane) {
    const read = this.#unread.readOf(pane.room);
    this.#unread.release(pane.room);
    if (read) pane.list.showNew(read);
    if (this.#unread.counts(pane.room).unread) this.#wanted.add(pane.room);
  }

  /** A page of history is shown. @param {RoomPane} pane */
  paged(pane) {
    if (this.#wanted.delete(pane.room) && pane.list.hasNew) pane.list.toNew();
    this.lookSoon();
  }

  /**
   * Somebody else posted.
   * @param {RoomPane} pane
   */
  arrived(pane) {
    const read = this.#unread.readOf(pane.room);
    const isSeen = isLookedAt() && pane.isVisible && pane.list.isAtBottom;
    if (!isSeen && read && !pane.list.hasNew) pane.list.showNew(read);
    this.lookSoon();
  }

  /** Who writes has read. @param {RoomPane} pane */
  wrote(pane) {
    pane.list.showNew(null);
  }

  /** Look in a moment at what is in view. */
  lookSoon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, LOOK_AFTER_MS);
  }

  /** @param {string} room */
  markRead(room) {
    this.#unread.markRead(room);
    this.#panes.get(room)?.list.showNew(null);
  }

  /** @param {string} room @param {number} seq */
  markUnread(room, seq) {
    this.#unread.markUnread(room, seq);
  }

  /** @param {string} room */
  hasUnread(room) {
    return this.#unread.counts(room).unread > 0;
  }

  /** The reader turns to this pane. @param {string} room */
  turnTo(room) {
    this.#unread.release(room);
    this.lookSoon();
  }

  /** Go to what is new: in this pane if it is out of view, else in the next room. @param {number} by */
  next(by) {
    const now = this.#panes.get(this.#panes.seen);
    if (now && this.hasUnread(now.room) && now.list.hasNew && !now.list.isNewInView)
      return now.list.toNew();
    const room = this.#unread.next(this.#list.order, this.#panes.seen, by);
    const id = room ?? (now && this.hasUnread(now.room) ? now.room : null);
    if (id === null) return;
    this.#wanted.add(id);
    this.#open(id);
    const pane = this.#panes.get(id);
    if (pane?.list.hasNew) this.paged(pane);
  }

  /** Only what is in view of somebody who is there, and nothing that was jumped over. */
  #look() {
    if (!isLookedAt()) return;
    for (const pane of this.#panes.all) {
      if (this.#unread.isRead(pane.room)) continue; // most are: spare them a layout
      const read = this.#unread.readOf(pane.room);
      const inView = read === undefined || !pane.isVisible ? null : pane.list.inView;
      if (read === undefined || inView === null) continue;
      const { seq, isKnown } = pane.list.firstNew(read);
      const isFollowed = isKnown && (seq === undefined || seq >= inView.first);
      if (read === 0 || isFollowed) this.#unread.see(pane.room, inView.last);
    }
    this.#show();
  }

  #show() {
    for (const room of this.#list.order) this.#list.count(room, this.#unread.counts(room));
    for (const pane of this.#panes.all) {
      const { unread } = this.#unread.counts(pane.room);
      pane.showAbove(unread && pane.list.isNewAbove ? unread : 0);
    }
    const { total } = this.#unread;
    part(document, "next-unread").hidden = total.unread === 0;
    showBadge(total);
  }

  /** @param {string} room @param {number} read */
  #moved(room, read) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    pane.list.showNew(read || null);
  }

  /** What comes while nobody looks gets a line of its own. */
  #leave() {
    for (const pane of this.#panes.all) if (!this.hasUnread(pane.room)) pane.list.showNew(null);
  }
}

function isLookedAt() {
  return document.visibilityState === "visible" && document.hasFocus();
}
