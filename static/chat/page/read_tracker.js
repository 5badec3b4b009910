/** Marks messages as read when they are in view, and shows what is unread: counts, "New" lines, the next unread room. */

import { part } from "../dom/templates.js";
import { countsWords } from "../model/strings.js";
import { showBadge } from "./badge.js";

/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {HeadsFrame} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */
/** @import {Unread} from "../model/unread.js" */

/** Long enough that messages passing by while scrolling do not count as read. */
const CHECK_AFTER_MS = 250;
/** A page of history. With more unread messages than that, a room opens at the first of them. */
const PAGE_SIZE = 50;

export class ReadTracker {
  #unread;
  #panes;
  #list;
  /** @type {(room: string) => void} */
  #focusRoom;
  /** @type {(room: string) => void} */
  #jumpToNew;
  #nextButton = part(document, "next-unread");
  #catchUpButton = part(document, "catch-up-button");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Rooms to scroll to their "New" line as soon as it is shown. @type {Set<string>} */
  #awaitingNewLine = new Set();
  /** Rooms that were opened before the server sent their unread counts. @type {Set<string>} */
  #awaitingHeads = new Set();
  /** Whether an alert waits for the user, in any room. */
  #hasAlert = false;
  #isPaused = false;
  #isJumping;
  /** The room whose pane was focused last. @type {string | null} */
  #focusedRoom = null;

  /**
   * @param {Unread} unread
   * @param {{panes: PaneRow, list: RoomList, focusRoom: (room: string) => void, jumpToNew: (room: string) => void, isJumping: (room: string) => boolean}} page
   */
  constructor(unread, { panes, list, focusRoom, jumpToNew, isJumping }) {
    this.#isJumping = isJumping;
    this.#unread = unread;
    this.#panes = panes;
    this.#list = list;
    this.#focusRoom = focusRoom;
    this.#jumpToNew = jumpToNew;
    unread.onchange = (rooms) => this.#showCounts(rooms);
    unread.onmoved = (room, read) => this.#panes.get(room)?.list.showNewLine(read);
    window.addEventListener("focus", () => this.checkSoon());
    window.addEventListener("blur", () => this.#windowLeft());
    window.addEventListener("resize", () => this.checkSoon());
    document.addEventListener("visibilitychange", () => this.checkSoon());
    part(document, "panes").addEventListener("scroll", () => this.checkSoon(), { passive: true });
    this.#nextButton.addEventListener("click", () => this.goToNextUnread(1));
  }

  connected() {
    this.#unread.connected();
  }

  /** @param {HeadsFrame["heads"]} heads */
  headsReceived(heads) {
    this.#unread.applyHeads(heads);
    for (const room of this.#awaitingHeads)
      if (this.#unread.readOf(room) !== undefined && this.#awaitingHeads.delete(room))
        this.#jumpToUnread(room);
    this.checkSoon();
  }

  /** @param {RoomPane} pane */
  paneOpened(pane) {
    const read = this.#unread.readOf(pane.room);
    this.#unread.releaseHold(pane.room);
    for (const kind of ["pointerdown", "keydown", "wheel"])
      pane.addEventListener(kind, () => this.#userActed(pane.room), { passive: true });
    if (read !== undefined) pane.list.showNewLine(read);
    if (read === undefined) this.#awaitingHeads.add(pane.room);
    else if (!this.#jumpToUnread(pane.room) && this.hasUnread(pane.room))
      this.#awaitingNewLine.add(pane.room);
  }

  /** The pane goes to a linked message instead of the first unread one. @param {string} room */
  skipUnread(room) {
    this.#awaitingHeads.delete(room);
    this.#awaitingNewLine.delete(room);
  }

  /** Go to the first unread message if it is beyond the newest page. @param {string} room */
  #jumpToUnread(room) {
    const isFar = this.#unread.countsOf(room).unread > PAGE_SIZE;
    if (isFar) this.#jumpToNew(room);
    return isFar;
  }

  /** A page of history is shown. @param {RoomPane} pane */
  pageShown(pane) {
    if (this.#awaitingNewLine.delete(pane.room) && pane.list.newLine.isShown)
      pane.list.scrollToNew();
    this.checkSoon();
  }

  /**
   * Another user posted a message.
   * @param {RoomPane} pane
   */
  messageArrived(pane) {
    const read = this.#unread.readOf(pane.room);
    if (read !== undefined && !pane.list.newLine.isShown) {
      // What lays the page out is asked last, because this runs for each message of a burst.
      const isSeen = isLookedAt() && pane.list.isAtBottom && pane.isVisible;
      if (!isSeen) pane.list.showNewLine(read);
    }
    this.checkSoon();
  }

  /** A user who writes has read the room. If unread messages are out of view, the "New" line stays. @param {RoomPane} pane */
  messageSent(pane) {
    this.#unread.releaseHold(pane.room);
    this.checkSoon();
    if (!this.hasUnread(pane.room)) pane.list.showNewLine(null);
  }

  /** Check in a moment which messages are in view. */
  checkSoon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#markVisible();
    }, CHECK_AFTER_MS);
  }

  /** Nothing that is shown counts as read from now on. */
  pause() {
    this.#isPaused = true;
  }

  resume() {
    this.#isPaused = false;
    this.checkSoon();
  }

  /** @param {string} room */
  markRead(room) {
    this.#unread.markRead(room);
    this.#panes.get(room)?.list.showNewLine(null);
  }

  markAllRead() {
    for (const room of this.#unread.unreadRooms) if (this.#counts(room)) this.markRead(room);
  }

  /** Bring the first unread message of an open room into view, as soon as it is there. @param {string} room */
  showFirstUnread(room) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    this.#awaitingNewLine.add(room);
    if (pane.list.newLine.isShown) this.pageShown(pane);
    else if (isElsewhere(pane)) this.#jumpToNew(room);
  }

  /** @param {string} room @param {number} seq */
  markUnread(room, seq) {
    this.#unread.markUnread(room, seq);
  }

  /** @param {string} room */
  hasUnread(room) {
    return this.#unread.countsOf(room).unread > 0;
  }

  /** Whether the room has unread messages that count at its level. @param {string} room */
  #counts(room) {
    return this.#unread.countedOf(room).unread > 0;
  }

  /** A pane got the focus. A window that gets the focus back gives it to the same pane, which is no change. @param {string} room */
  paneFocused(room) {
    if (this.#focusedRoom !== room) this.#unread.releaseHold(room);
    this.#focusedRoom = room;
    this.checkSoon();
  }

  /** Forget all rooms but these. @param {string[]} rooms */
  setRooms(rooms) {
    this.#unread.setRooms(rooms);
  }

  /** @param {string} room */
  #userActed(room) {
    if (this.#unread.releaseRemoteHold(room)) this.checkSoon();
  }

  /** Go to the first unread message: in this pane if it is out of view, otherwise in the next room. @param {number} step */
  goToNextUnread(step) {
    const seen = this.#panes.get(this.#panes.seen);
    if (
      seen?.list.clientHeight && // not in a strip
      this.#counts(seen.room) &&
      (seen.list.newLine.isShown ? !seen.list.newLine.isInView : isElsewhere(seen))
    )
      return this.#jumpToNew(seen.room);
    const room = this.#unread.nextUnread(this.#list.order, this.#panes.seen, step);
    const id = room ?? (seen && this.#counts(seen.room) ? seen.room : null);
    if (id === null) return;
    this.#focusRoom(id);
    this.showFirstUnread(id);
  }

  /** Only messages in view of a user who is present count, and none that were jumped over. */
  #markVisible() {
    if (isLookedAt() && !this.#isPaused)
      for (const pane of this.#panes.all) this.#markVisibleIn(pane);
    this.#showAbove();
  }

  /** @param {RoomPane} pane */
  #markVisibleIn(pane) {
    if (this.#unread.isRead(pane.room)) return; // most rooms are, so save a layout
    if (this.#panes.isStrip(pane.room)) return; // perhaps it is not shown as one yet
    if (this.#isJumping(pane.room)) return; // the reader has not asked for what is shown
    const read = this.#unread.readOf(pane.room);
    const inView = read === undefined || !pane.isVisible ? null : pane.list.inView;
    if (read === undefined || inView === null) return;
    const { seq, isKnown } = pane.list.newLine.firstAfter(read);
    const isFollowed = isKnown && (seq === undefined || seq >= inView.first);
    if (isFollowed) this.#unread.markSeen(pane.room, inView.last);
  }

  /** @param {string[]} rooms whose counts may have changed */
  #showCounts(rooms) {
    for (const room of rooms)
      this.#list.setCounts(room, {
        ...this.#unread.countedOf(room),
        level: this.#unread.levelOf(room),
        isAnyUnread: this.hasUnread(room),
      });
    const { total } = this.#unread;
    this.#nextButton.hidden = total.unread === 0;
    // A quiet room with an alert is caught up with too.
    this.#catchUpButton.hidden = total.unread === 0 && !this.#unread.unreadRooms[0];
    part(this.#catchUpButton, "total").textContent = countsWords(total);
    showBadge(total, this.#hasAlert);
    this.#showAbove();
  }

  /** @param {boolean} hasAlert */
  showHasAlert(hasAlert) {
    this.#hasAlert = hasAlert;
    showBadge(this.#unread.total, hasAlert);
  }

  #showAbove() {
    for (const pane of this.#panes.all) {
      const { unread } = this.#unread.countsOf(pane.room);
      pane.showNewAbove(unread && pane.list.newLine.isAbove ? unread : 0);
    }
  }

  /** Messages that arrive while the window has no focus get a "New" line of their own. */
  #windowLeft() {
    for (const pane of this.#panes.all) if (!this.hasUnread(pane.room)) pane.list.showNewLine(null);
  }
}

/** Whether the first unread message is outside what the pane shows. @param {RoomPane} pane */
function isElsewhere({ list }) {
  return list.newLine.isAbove || !list.isAtHead;
}

function isLookedAt() {
  return document.visibilityState === "visible" && document.hasFocus();
}
