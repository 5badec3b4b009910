/** <room-list>: a row for each room, in the order of their titles. */

import { part } from "../dom/templates.js";
import { LOCALE } from "../model/language.js";
import { RoomKeys } from "./room_keys.js";
import { createRow, RoomRow } from "./room_row.js";

/** @import {Room} from "../model/protocol.js" */
/** @import {ShownCounts} from "./room_row.js" */

/** `goTo`: its own button was clicked; `toggle`: open or close it; `close`: a middle click; `keep`: a double click. @typedef {{goTo: (room: string) => void, toggle: (room: string) => void, close: (room: string) => void, keep: (room: string) => void}} ListActions */

/** Created once, because `localeCompare` looks up its rules at each comparison. */
const COLLATOR = new Intl.Collator(LOCALE, { sensitivity: "base" });
const MIDDLE_BUTTON = 1;

export class RoomList extends HTMLElement {
  /** Set by `configure`, before any event can arrive. */
  #actions = /** @type {ListActions} */ (/** @type {unknown} */ (null));
  /** @type {string | null} */
  #seen = null;
  /** There may be a thousand, so each change touches only the rows that it concerns. @type {Map<string, RoomRow>} */
  #rows = new Map();
  /** Counts may arrive before their room is in the list. @type {Map<string, ShownCounts>} */
  #counts = new Map();
  /** Ids of the rooms that have an alert that the user has not confirmed. @type {Set<string>} */
  #alerts = new Set();
  /** Ids of open rooms, in the order of their panes. @type {string[]} */
  #open = [];
  /** Ids of the open rooms whose panes are out of view. @type {Set<string>} */
  #away = new Set();
  /** Whether the user opened or closed a room by its tab: the tabs then stay where they are until the list is opened. */
  #areTabsStill = false;
  /** Ids of all rooms by title. @type {string[]} */
  #order = [];
  /** Whether rooms were added or renamed since the list was last sorted. */
  #isUnsorted = true;
  /** No row moves under the pointer. */
  #isPointedAt = false;
  #isToggle = false;
  #keys = new RoomKeys(this);

  /** A room's counts or alerts changed. @type {(room: string) => void} */
  onrow = () => {};

  /** Open a row's menu. @type {(row: RoomRow) => void} */
  onmenu = () => {};

  /** @param {ListActions} actions */
  configure(actions) {
    this.#actions = actions;
    for (const item of this.querySelectorAll("[data-part=rooms] > li, [data-part=people] > li"))
      this.#addRow(new RoomRow(/** @type {HTMLElement} */ (item)));
    const all = part(this, "all");
    all.addEventListener("click", () => this.#expand(all.getAttribute("aria-expanded") !== "true"));
    this.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (defaultPrevented || key !== "Escape" || all.getAttribute("aria-expanded") !== "true")
        return;
      this.collapse();
      all.focus();
    });
    const nav = part(this, "nav");
    nav.addEventListener("click", (event) => this.#clicked(event));
    // A right click, or the menu key on a row that has the focus.
    nav.addEventListener("contextmenu", (event) => {
      const item = event.target instanceof Element ? event.target.closest("nav li") : null;
      const row = item && this.#rows.get(part(item, "button").dataset.room ?? "");
      if (!row) return;
      event.preventDefault();
      // While the mouse button is down, releasing it would close the menu.
      if (event.buttons === 0) this.onmenu(row);
      else
        document.addEventListener("pointerup", () => setTimeout(() => this.onmenu(row)), {
          once: true,
        });
    });
    nav.addEventListener("dblclick", ({ target }) => {
      const button = target instanceof Element ? target.closest("[data-room]") : null;
      if (button) actions.keep(button.getAttribute("data-room") ?? "");
    });
    nav.addEventListener("auxclick", (event) => this.#clicked(event));
    // Without this, a middle click would scroll the list with the mouse.
    nav.addEventListener("mousedown", (event) => {
      if (event.button === MIDDLE_BUTTON) event.preventDefault();
    });
    // Rows that came while the pointer was over the list are put into their places now.
    nav.addEventListener("pointerenter", () => {
      this.#isPointedAt = true;
    });
    nav.addEventListener("pointerleave", () => {
      this.#isPointedAt = false;
      this.#sortIfNeeded();
    });
  }

  /** @param {MouseEvent} event */
  #clicked({ target, button }) {
    const element = target instanceof Element ? target.closest("nav li > button") : null;
    const item = element?.parentElement;
    const row = item ? this.#rows.get(part(item, "button").dataset.room ?? "") : undefined;
    if (!row) return;
    if (!this.classList.contains("expanded")) this.#areTabsStill = true;
    if (button === MIDDLE_BUTTON) return this.#actions.close(row.room);
    if (button !== 0) return;
    if (element === row.toggle) return this.#actions.toggle(row.room);
    this.#expand(false);
    this.#actions.goTo(row.room);
  }

  /** Whether a click on an open room closes it, as in the original. @param {boolean} isToggle */
  showClickCloses(isToggle) {
    this.#isToggle = isToggle;
    for (const row of this.#rows.values()) row.showAsToggle(isToggle);
  }

  /** On a phone, go back to the panes. */
  collapse() {
    this.#expand(false);
  }

  /**
   * Mark which rooms are open, and which pane has or had the focus. No row moves.
   * @param {string[]} open in the order of the panes
   * @param {string | null} seen
   */
  showOpenRooms(open, seen) {
    if (!isSame(open, this.#open)) {
      const changed = [...new Set([...open, ...this.#open])];
      const before = new Set(this.#open);
      this.#open = [...open];
      for (const room of changed)
        if (before.has(room) !== open.includes(room))
          this.#rows.get(room)?.showOpen(open.includes(room));
      this.#placeTabs(changed);
    }
    this.#sortIfNeeded();
    if (seen === this.#seen) return;
    this.#rows.get(this.#seen ?? "")?.showSeen(false);
    this.#seen = seen;
    const row = this.#rows.get(seen ?? "");
    row?.showSeen(true);
    row?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Mark the open rooms whose panes are out of view. @param {Set<string>} away */
  showAway(away) {
    for (const room of new Set([...away, ...this.#away]))
      if (away.has(room) !== this.#away.has(room)) this.#rows.get(room)?.showAway(away.has(room));
    this.#away = away;
  }

  /** The tabs of a phone begin with the open rooms, in the order of their panes. @param {string[]} rooms whose tabs may change */
  #placeTabs(rooms) {
    for (const room of rooms) {
      const index = this.#open.indexOf(room);
      const row = this.#rows.get(room);
      if (this.#areTabsStill) row?.keepTabPlace();
      else row?.setTabPlace(index < 0 ? 0 : index - this.#open.length);
    }
  }

  #sortIfNeeded() {
    if (!this.#isUnsorted || this.#isPointedAt) return;
    this.#isUnsorted = false;
    const titles = new Map([...this.#rows].map(([room, { title }]) => [room, title]));
    this.#order = [...this.#rows.keys()].sort((a, b) =>
      COLLATOR.compare(titles.get(a) ?? "", titles.get(b) ?? ""),
    );
    const isDirect = (/** @type {string} */ room) => this.#rows.get(room)?.isDirect === true;
    const people = this.#order.filter(isDirect);
    this.#order = [...this.#order.filter((room) => !isDirect(room)), ...people];
    const rows = this.#order.flatMap((room) => this.#rows.get(room) ?? []);
    const itemsOf = (/** @type {boolean} */ direct) =>
      rows.filter((row) => row.isDirect === direct).map(({ item }) => item);
    arrange(part(this, "rooms"), itemsOf(false));
    arrange(part(this, "people"), itemsOf(true));
    this.#keys.setRows(rows);
  }

  /**
   * Add a room that was created, or opened by title, after the page was loaded.
   * @param {Room} room
   */
  addRoom(room) {
    const row = createRow(room);
    part(this, row.isDirect ? "people" : "rooms").append(row.item);
    this.#addRow(row);
    if (this.#open.includes(room.id)) row.showOpen(true);
    const counts = this.#counts.get(room.id);
    if (counts) row.showCounts(counts);
    row.showAlert(this.#alerts.has(room.id));
    // Until the list is sorted, the keys reach the row at its end.
    this.#order.push(room.id);
  }

  /**
   * Add new rooms, and show new titles.
   * @param {Room[]} rooms
   */
  updateRooms(rooms) {
    for (const room of rooms) {
      const row = this.#rows.get(room.id);
      if (!row) this.addRoom(room);
      else if (row.showRoom(room)) this.#isUnsorted = true;
    }
    this.querySelector(".no-rooms")?.remove();
  }

  /**
   * @param {string} room
   * @param {ShownCounts} counts
   */
  setCounts(room, counts) {
    this.#counts.set(room, counts);
    this.#rows.get(room)?.showCounts(counts);
    this.onrow(room);
  }

  /** @param {string} room @param {boolean} hasAlert an alert that the user has not confirmed */
  setAlert(room, hasAlert) {
    if (hasAlert) this.#alerts.add(room);
    else this.#alerts.delete(room);
    this.#rows.get(room)?.showAlert(hasAlert);
    this.onrow(room);
  }

  /** @param {string} room */
  hasRoom(room) {
    return this.#rows.has(room);
  }

  /** @param {string} room */
  rowOf(room) {
    return this.#rows.get(room);
  }

  /** @param {string} room */
  removeRoom(room) {
    this.#rows.get(room)?.item.remove();
    this.#rows.delete(room);
    this.#counts.delete(room);
    this.#order = this.#order.filter((id) => id !== room);
    this.#isUnsorted = true;
  }

  /** @param {string} room */
  focusRoom(room) {
    this.#rows.get(room)?.button.focus();
  }

  /**
   * Show that messages wait for a room that is not open.
   * @param {string} room
   * @param {number} count
   */
  showUnsentCount(room, count) {
    this.#rows.get(room)?.showUnsentCount(count);
  }

  /** All rooms, in the list's order. */
  get rows() {
    return this.#order.flatMap((room) => this.#rows.get(room) ?? []);
  }

  /** Ids of all rooms in the list's order. */
  get order() {
    return this.#order;
  }

  /** @param {RoomRow} row */
  #addRow(row) {
    this.#rows.set(row.room, row);
    this.#isUnsorted = true;
    if (this.#isToggle) row.showAsToggle(true);
  }

  /** On a phone, show the whole list over the page. @param {boolean} isExpanded */
  #expand(isExpanded) {
    if (isExpanded === this.classList.contains("expanded")) return;
    this.classList.toggle("expanded", isExpanded);
    part(this, "all").setAttribute("aria-expanded", String(isExpanded));
    this.#areTabsStill = false;
    this.#placeTabs(this.#open);
    // The tabs may be scrolled sideways, but the list shows its rooms' titles from the left edge.
    if (isExpanded) part(this, "nav").scrollLeft = 0;
  }
}

/**
 * Put items into a list in this order, moving as few items as possible.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} items
 */
function arrange(list, items) {
  const focused = document.activeElement;
  let place = list.firstElementChild;
  for (const item of items) {
    if (item === place) place = item.nextElementSibling;
    else list.insertBefore(item, place);
  }
  // A moved item loses the focus, so give it back.
  if (
    focused instanceof HTMLElement &&
    focused !== document.activeElement &&
    list.contains(focused)
  )
    focused.focus({ preventScroll: true });
}

/** @param {string[]} a @param {string[]} b */
function isSame(a, b) {
  return a.length === b.length && a.every((room, i) => room === b[i]);
}
