/** Sees what is read on this page, and shows what is not: counts, "New" lines, the way to the next unread. */

import { part } from "../dom/templates.js";
import { showBadge } from "./badge.js";

/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {HeadsFrame} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */
/** @import {Unread} from "../model/unread.js" */

/** Long enough that what only flies by while scrolling was not read. */
const LOOK_AFTER_MS = 250;
/** A page of history: where more is unread, a room opens at the first of it. */
const PAGE = 50;

export class ReadTracker {
  #unread;
  #panes;
  #list;
  /** @type {(room: string) => void} */
  #open;
  /** @type {(room: string) => void} */
  #toNew;
  #nextButton = part(document, "next-unread");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Panes to bring to their "New" line when it is there. @type {Set<string>} */
  #wanted = new Set();
  /** Panes that were opened before it was told what is unread in them. @type {Set<string>} */
  #untold = new Set();
  /** The pane that the reader turned to last. @type {string | null} */
  #turnedTo = null;

  /**
   * @param {Unread} unread
   * @param {{panes: PaneRow, list: RoomList, open: (room: string) => void, toNew: (room: string) => void}} page
   */
  constructor(unread, { panes, list, open, toNew }) {
    this.#unread = unread;
    this.#panes = panes;
    this.#list = list;
    this.#open = open;
    this.#toNew = toNew;
    unread.onchange = (rooms) => this.#showCounts(rooms);
    unread.onmoved = (room, read) => this.#panes.get(room)?.list.showNew(read);
    window.addEventListener("focus", () => this.lookSoon());
    window.addEventListener("blur", () => this.#leave());
    window.addEventListener("resize", () => this.lookSoon());
    document.addEventListener("visibilitychange", () => this.lookSoon());
    part(document, "panes").addEventListener("scroll", () => this.lookSoon(), { passive: true });
    this.#nextButton.addEventListener("click", () => this.next(1));
  }

  connected() {
    this.#unread.connected();
  }

  /** @param {HeadsFrame["heads"]} heads */
  counted(heads) {
    this.#unread.take(heads);
    for (const room of this.#untold)
      if (this.#unread.readOf(room) !== undefined && this.#untold.delete(room)) this.#begin(room);
    this.lookSoon();
  }

  /** @param {RoomPane} pane */
  opened(pane) {
    const read = this.#unread.readOf(pane.room);
    this.#unread.release(pane.room);
    for (const kind of ["pointerdown", "keydown", "wheel"])
      pane.addEventListener(kind, () => this.#touch(pane.room), { passive: true });
    if (read !== undefined) pane.list.showNew(read);
    if (read === undefined) this.#untold.add(pane.room);
    else if (!this.#begin(pane.room) && this.hasUnread(pane.room)) this.#wanted.add(pane.room);
  }

  /** The pane shows something that was asked for, wherever the unread begins. @param {string} room */
  goesElsewhere(room) {
    this.#untold.delete(room);
    this.#wanted.delete(room);
  }

  /** Begin where the unread does, if that is beyond the newest page. @param {string} room */
  #begin(room) {
    const isFar = this.#unread.counts(room).unread > PAGE;
    if (isFar) this.#toNew(room);
    return isFar;
  }

  /** A page of history is shown. @param {RoomPane} pane */
  paged(pane) {
    if (this.#wanted.delete(pane.room) && pane.list.newLine.isThere) pane.list.toNew();
    this.lookSoon();
  }

  /**
   * Somebody else posted.
   * @param {RoomPane} pane
   */
  arrived(pane) {
    const read = this.#unread.readOf(pane.room);
    const isSeen = isLookedAt() && pane.isVisible && pane.list.isAtBottom;
    if (!isSeen && read !== undefined && !pane.list.newLine.isThere) pane.list.showNew(read);
    this.lookSoon();
  }

  /** Who writes has read, unless something stands elsewhere: the way there stays. @param {RoomPane} pane */
  wrote(pane) {
    this.#unread.release(pane.room);
    this.lookSoon();
    if (!this.hasUnread(pane.room)) pane.list.showNew(null);
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

  /** The reader turns to this pane. A window that gets the focus back gives it to the pane that had it. @param {string} room */
  turnTo(room) {
    if (this.#turnedTo !== room) this.#unread.release(room);
    this.#turnedTo = room;
    this.lookSoon();
  }

  /** Only these rooms are there. @param {string[]} rooms */
  keep(rooms) {
    this.#unread.keep(rooms);
  }

  /** @param {string} room */
  #touch(room) {
    if (this.#unread.touch(room)) this.lookSoon();
  }

  /** Go to what is new: in this pane if it is out of view, else in the next room. @param {number} by */
  next(by) {
    const now = this.#panes.get(this.#panes.seen);
    if (
      now &&
      this.hasUnread(now.room) &&
      (now.list.newLine.isThere ? !now.list.newLine.isInView : isElsewhere(now))
    )
      return this.#toNew(now.room);
    const room = this.#unread.next(this.#list.order, this.#panes.seen, by);
    const id = room ?? (now && this.hasUnread(now.room) ? now.room : null);
    if (id === null) return;
    this.#wanted.add(id);
    this.#open(id);
    const pane = this.#panes.get(id);
    if (pane?.list.newLine.isThere) this.paged(pane);
    else if (pane && isElsewhere(pane)) this.#toNew(id);
  }

  /** Only what is in view of somebody who is there, and nothing that was jumped over. */
  #look() {
    if (isLookedAt()) for (const pane of this.#panes.all) this.#see(pane);
    this.#showAbove();
  }

  /** @param {RoomPane} pane */
  #see(pane) {
    if (this.#unread.isRead(pane.room)) return; // most are: spare them a layout
    const read = this.#unread.readOf(pane.room);
    const inView = read === undefined || !pane.isVisible ? null : pane.list.inView;
    if (read === undefined || inView === null) return;
    const { seq, isKnown } = pane.list.newLine.firstAfter(read);
    const isFollowed = isKnown && (seq === undefined || seq >= inView.first);
    if (isFollowed) this.#unread.see(pane.room, inView.last);
  }

  /** @param {string[]} rooms of which the counts may have changed */
  #showCounts(rooms) {
    for (const room of rooms) this.#list.count(room, this.#unread.counts(room));
    const { total } = this.#unread;
    this.#nextButton.hidden = total.unread === 0;
    showBadge(total);
    this.#showAbove();
  }

  #showAbove() {
    for (const pane of this.#panes.all) {
      const { unread } = this.#unread.counts(pane.room);
      pane.showAbove(unread && pane.list.newLine.isAbove ? unread : 0);
    }
  }

  /** What comes while nobody looks gets a line of its own. */
  #leave() {
    for (const pane of this.#panes.all) if (!this.hasUnread(pane.room)) pane.list.showNew(null);
  }
}

/** Whether the first unread is not among what the pane shows. @param {RoomPane} pane */
function isElsewhere({ list }) {
  return list.newLine.isAbove || !list.isAtHead;
}

function isLookedAt() {
  return document.visibilityState === "visible" && document.hasFocus();
}
