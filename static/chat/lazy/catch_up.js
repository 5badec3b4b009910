/** Catches up: one room after the other alone on the page, alerts and mentions first, until all is read. The panes step aside and come back as they were. */

import { part } from "../dom/templates.js";
import { isComposing, isTextField } from "../dom/text_box.js";
import { keysOf } from "../model/keys_alone.js";
import { gettext } from "../model/language.js";
import { chordOf } from "../model/shortcuts.js";
import { ALL_CAUGHT_UP, catchUpWords, OFFLINE } from "../model/strings.js";

/** @import {Shortcuts} from "../model/shortcuts.js" */
/** @import {Unread} from "../model/unread.js" */
/** @import {Workspace} from "../model/workspace.js" */

/** What catching up needs of the row of panes. @typedef {{readonly seen: string | null, setSeen: (room: string | null) => void, readonly layout: {peek: string | null, held: string | null}, showAlone: (room: string | null) => void, setPeek: (room: string) => void, get: (room: string | null) => {list: HTMLElement & {isAtBottom: boolean, isAtHead: boolean}} | undefined}} Panes */
/** What it needs of the page. @typedef {{navigation: {peekRoom: (room: string, unlisted?: undefined, isFocused?: boolean) => void, closePeek: (kept: string | null) => void, updateAddress: () => void}, shortcuts: Shortcuts, readTracker: {hasUnread: (room: string) => boolean, showFirstUnread: (room: string) => void, markRead: (room: string) => void, markAllRead: () => void}, unread: Unread, workspace: Workspace, menus: {open: (anchor: HTMLElement, name: string, items: () => {label: string, act: () => void}[]) => void}}} Parts */

/** How long it takes until what the server has marked as read is counted here. */
const COUNTED_AFTER_MS = 500;
/** How much of the view the next screen moves on: a line or two stay in view. */
const SCREEN = 0.9;

export class CatchUp {
  #bar = part(document, "catch-up");
  #row = part(document, "panes");
  #panes;
  #parts;
  /** Rooms that were unread when it began, the next first. @type {string[]} */
  #queue = [];
  /** @type {string | null} */
  #room = null;
  /** Where the user was. @type {{focus: Element | null, scrollLeft: number, seen: string | null, peek: string | null} | null} */
  #before = null;

  /** @param {Panes} panes @param {Parts} parts */
  constructor(panes, parts) {
    this.#panes = panes;
    this.#parts = parts;
    part(this.#bar, "screen").addEventListener("click", () => this.#nextScreen());
    part(this.#bar, "read-on").addEventListener("click", () => this.#readAndGoOn());
    part(this.#bar, "all-read").addEventListener("click", () => this.#readAll());
    const older = part(this.#bar, "older");
    older.addEventListener("click", () =>
      this.#parts.menus.open(older, gettext("Mark older as read…"), () => this.#olderItems()),
    );
    part(this.#bar, "done").addEventListener("click", () => this.finish());
    document.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Begin, unless it has begun. */
  start() {
    if (this.#before) return;
    this.#before = {
      focus: document.activeElement,
      scrollLeft: this.#row.scrollLeft,
      seen: this.#panes.seen,
      peek: this.#panes.layout.peek,
    };
    // Hidden like the others meanwhile, and not replaced by the rooms that are shown.
    this.#panes.layout.held = this.#panes.layout.peek;
    this.#panes.layout.peek = null;
    // Before the first room is opened: a strip among the panes stays one.
    this.#panes.showAlone("");
    this.#queue = this.#parts.unread.unreadRooms;
    this.#bar.hidden = false;
    this.#goOn();
  }

  /** Show the next room that is still unread. */
  #goOn() {
    const { readTracker } = this.#parts;
    this.#holdPeek();
    let room = this.#queue.shift();
    while (room !== undefined && !readTracker.hasUnread(room)) room = this.#queue.shift();
    this.#room = room ?? null;
    if (room !== undefined) this.#show(room);
    // The page has as many panes as it may have, so nothing of the room would be shown.
    if (room !== undefined && !this.#panes.get(room)) return this.finish();
    this.#panes.showAlone(room ?? "");
    this.#showWhere();
    for (const name of ["screen", "read-on", "older", "all-read"])
      part(this.#bar, name).hidden = room === undefined;
    // In the log, the keys of this mode scroll and go on, and nothing is typed.
    if (room === undefined) part(this.#bar, "done").focus();
    else {
      this.#panes.get(room)?.list.focus({ preventScroll: true });
      readTracker.showFirstUnread(room);
    }
  }

  #nextScreen() {
    const list = this.#panes.get(this.#room)?.list;
    if (!list) return;
    if (list.isAtBottom && list.isAtHead) return this.#readAndGoOn();
    list.scrollTop += list.clientHeight * SCREEN;
    list.focus({ preventScroll: true });
  }

  /** @param {string} room */
  #show(room) {
    const { navigation } = this.#parts;
    const held = this.#before?.peek ?? null;
    if (room === held) {
      navigation.closePeek(held);
      this.#panes.setPeek(held);
    }
    navigation.peekRoom(room);
    if (this.#panes.get(room) || held === null || !this.#panes.get(held)) return;
    // There is no place beside the pane that was provisional before, so it is opened again at the end.
    navigation.closePeek(held);
    this.#panes.setPeek(held);
    navigation.peekRoom(room);
  }

  /** The pane that was provisional before may have been the one shown: go on holding it, unless the user wrote in it. */
  #holdPeek() {
    const { layout } = this.#panes;
    if (!this.#before || this.#room === null || this.#room !== this.#before.peek) return;
    if (layout.peek === this.#room) layout.peek = null;
    else this.#before.peek = layout.held = null;
  }

  /** @param {string | null} room that was provisional before */
  #bringBackPeek(room) {
    const { navigation } = this.#parts;
    this.#panes.layout.held = null;
    navigation.closePeek(room);
    if (room === null) return;
    if (this.#panes.get(room)) this.#panes.setPeek(room);
    else navigation.peekRoom(room, undefined, false);
    navigation.updateAddress();
  }

  #readAndGoOn() {
    if (this.#room !== null) this.#parts.readTracker.markRead(this.#room);
    this.#goOn();
  }

  #readAll() {
    this.#parts.readTracker.markAllRead();
    this.#goOn();
  }

  #olderItems() {
    const items = /** @type {const} */ ([
      [gettext("From before today"), 0],
      [gettext("From before yesterday"), 1],
      [gettext("Older than a week"), 7],
    ]).map(([label, days]) => ({ label, act: () => this.#readOlder(days) }));
    const all = part(this.#bar, "all-read");
    // On a phone, the bar has no space for the button.
    return all.checkVisibility()
      ? items
      : [...items, { label: all.textContent, act: () => this.#readAll() }];
  }

  /** @param {number} days since the midnight that begins today */
  #readOlder(days) {
    const midnight = new Date();
    midnight.setHours(0, 0, 0, 0);
    midnight.setDate(midnight.getDate() - days);
    if (!this.#parts.unread.markOlderRead(midnight)) part(this.#bar, "where").textContent = OFFLINE;
    else setTimeout(() => this.#before && this.#showWhere(), COUNTED_AFTER_MS);
    // Once the menu has given the focus back.
    requestAnimationFrame(() => this.#panes.get(this.#room)?.list.focus({ preventScroll: true }));
  }

  /** Say which room this is, and how many are left. */
  #showWhere() {
    const { readTracker, workspace } = this.#parts;
    const left = this.#queue.filter((id) => readTracker.hasUnread(id)).length;
    const title = workspace.rooms.get(this.#room ?? "")?.title ?? "";
    part(this.#bar, "where").textContent =
      this.#room === null ? ALL_CAUGHT_UP : catchUpWords(title, left);
  }

  finish() {
    const before = this.#before;
    if (!before) return;
    this.#holdPeek();
    this.#before = this.#room = null;
    this.#bar.hidden = true;
    this.#panes.showAlone(null);
    this.#bringBackPeek(before.peek);
    this.#panes.setSeen(before.seen);
    this.#row.scrollLeft = before.scrollLeft;
    const { focus } = before;
    if (focus instanceof HTMLElement && focus.isConnected && focus.checkVisibility())
      focus.focus({ preventScroll: true });
    else part(document, "panes-and-notices").focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const { key, target, defaultPrevented } = event;
    if (!this.#before || defaultPrevented || isComposing(event)) return;
    if (document.querySelector("dialog:modal, .menu:popover-open")) return;
    const { shortcuts } = this.#parts;
    const keys = keysOf(event);
    // A letter or Space is typed in a text field, and Space presses a button.
    const isTyping = isTextField(target) && !chordOf(event);
    const isButton = target instanceof Element && target.closest("button, summary, a") !== null;
    if (keys === "Escape") this.finish();
    // A key that is switched off has no name, and neither has Control alone.
    else if (isTyping || keys === "" || this.#room === null) return;
    else if (keys === shortcuts.chordFor("nextScreen") && !(isButton && key === " "))
      this.#nextScreen();
    else if (keys === shortcuts.chordFor("readOn")) this.#readAndGoOn();
    else return;
    event.preventDefault();
  }
}
