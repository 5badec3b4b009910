/** The row of panes, in their order, one of them perhaps widened. On a phone one pane is seen at a time. */

import { startDrag } from "../dom/drag.js";
import { Layout } from "../model/layout.js";
import { RoomPane } from "./room_pane.js";

/** @import {Panes} from "../model/layout.js" */

/** Below this width one pane is seen at a time: the same number as in the style sheet. */
const PHONE = "(max-width: 43.75em)";

export class PaneRow {
  layout = new Layout();
  /** The room whose pane has or had the focus; on a phone, the only pane that is seen. @type {string | null} */
  seen = null;
  /** @type {() => void} */
  onchange = () => {};
  /** Called when the user changed the panes' order or widths. @type {() => void} */
  onarranged = () => {};
  /** @type {Map<string, RoomPane>} */
  #panes = new Map();
  #row;
  #phone = matchMedia(PHONE);

  /** @param {HTMLElement} row */
  constructor(row) {
    this.#row = row;
    row.addEventListener("focusin", ({ target }) =>
      this.setSeen(paneOf(target)?.room ?? this.seen),
    );
    // Writing in a provisional pane, or a double click on its head, keeps it.
    row.addEventListener("input", ({ target }) => this.keep(paneOf(target)?.room));
    row.addEventListener("dblclick", ({ target }) => {
      if (target instanceof Element && target.closest(".pane-head") && !target.closest("button"))
        this.keep(paneOf(target)?.room);
    });
    row.addEventListener("pointerdown", (event) => this.#startDrag(event));
    this.#phone.addEventListener("change", () => this.setSeen(this.seen));
  }

  get isPhone() {
    return this.#phone.matches;
  }

  get all() {
    return [...this.#panes.values()];
  }

  /** @param {string | null} room */
  get(room) {
    return this.#panes.get(room ?? "");
  }

  /** The pane that has the focus. */
  get focused() {
    return paneOf(document.activeElement);
  }

  /** @param {RoomPane} pane */
  addPane(pane) {
    this.#panes.set(pane.room, pane);
    this.layout.add(pane.room);
    this.#row.append(pane);
    this.setSeen(this.seen ?? pane.room);
  }

  /** @param {string} room */
  removePane(room) {
    const index = this.layout.order.indexOf(room);
    this.#panes.get(room)?.remove();
    this.#panes.delete(room);
    this.layout.remove(room);
    const { order } = this.layout;
    this.setSeen(this.seen === room ? (order[index] ?? order.at(-1) ?? null) : this.seen);
  }

  /**
   * @param {string} room
   * @param {number} by
   */
  movePane(room, by) {
    if (!this.layout.moveBy(room, by)) return;
    this.keep(room);
    this.#arrange();
    this.scrollToPane(room);
  }

  /** Make an open pane provisional: the next peek replaces it. @param {string} room */
  setPeek(room) {
    this.layout.peek = room;
    this.#showLayout();
  }

  /** Keep a pane that was provisional. @param {string | undefined} room */
  keep(room) {
    if (room === undefined || this.layout.peek !== room) return;
    this.layout.peek = null;
    this.#showLayout();
    this.onarranged();
  }

  /** Show one pane alone, none of them ("") or again all (null). @param {string | null} room */
  showAlone(room) {
    this.#row.classList.toggle("alone", room !== null);
    for (const [id, pane] of this.#panes) pane.classList.toggle("alone", id === room);
    if (room) this.setSeen(room);
  }

  /** Put a pane before another one. @param {string} room @param {string} next */
  placeBefore(room, next) {
    const { order } = this.layout;
    const index = order.filter((id) => id !== room).indexOf(next);
    if (this.layout.moveTo(room, index)) this.#arrange();
  }

  /** Put the open panes in this order and widths; a provisional one stays the last. @param {Panes} panes */
  arrangeAs({ order, wide }) {
    const { layout } = this;
    layout.order = [...order, ...layout.order.filter((room) => !order.includes(room))];
    layout.wide = wide;
    this.#arrange();
  }

  /** @param {string} room */
  toggleWide(room) {
    this.layout.toggleWide(room);
    this.keep(room);
    this.onarranged();
    this.scrollToPane(room);
  }

  /** Bring a pane into view. @param {string} room */
  scrollToPane(room) {
    this.setSeen(room);
    this.get(room)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {string | null} room */
  setSeen(room) {
    this.seen = room;
    this.#showLayout();
  }

  /** Put the panes in the layout's order. The focused pane is not moved, because it would lose the focus. */
  #arrange() {
    const panes = this.layout.order.map((room) => /** @type {RoomPane} */ (this.#panes.get(room)));
    const fixed = this.focused ? Math.max(0, panes.indexOf(this.focused)) : 0;
    for (let i = fixed - 1; i >= 0; i -= 1) this.#movePane(panes[i], panes[i + 1] ?? null);
    for (let i = fixed + 1; i < panes.length; i += 1)
      this.#movePane(panes[i], panes[i - 1]?.nextElementSibling ?? null);
    this.#showLayout();
    this.onarranged();
  }

  /**
   * @param {RoomPane | undefined} pane
   * @param {Element | null} before
   */
  #movePane(pane, before) {
    if (pane === undefined || pane === before || pane.nextElementSibling === before) return;
    const row =
      /** @type {HTMLElement & {moveBefore?: (node: Node, before: Node | null) => void}} */ (
        this.#row
      );
    if (row.moveBefore) row.moveBefore(pane, before);
    else pane.keepScroll(() => row.insertBefore(pane, before));
  }

  #showLayout() {
    for (const [room, pane] of this.#panes) {
      pane.classList.toggle("seen", room === this.seen);
      pane.classList.toggle("wide", room === this.layout.wide);
      pane.showPeek(room === this.layout.peek);
    }
    this.onchange();
  }

  /** @param {PointerEvent} event */
  #startDrag(event) {
    const pane = paneOf(event.target);
    const isHead = event.target instanceof Element && event.target.closest(".pane-head");
    if (!pane || !isHead || this.isPhone || this.layout.order.length < 2) return;
    const { order } = this.layout;
    startDrag(event, pane, this.#row, {
      over: (x) => this.#moveUnderPointer(pane, x),
      // Other panes may be open by now.
      cancel: () =>
        this.arrangeAs({ order: order.filter((room) => this.get(room)), wide: this.layout.wide }),
    });
  }

  /** Move a pane to the position under the pointer. @param {RoomPane} pane @param {number} x */
  #moveUnderPointer(pane, x) {
    const index = this.layout.order.findIndex((room) => {
      const { left, right } = /** @type {RoomPane} */ (this.get(room)).getBoundingClientRect();
      return room !== pane.room && x >= left && x <= right;
    });
    const over = this.get(this.layout.order[index] ?? null);
    if (over === undefined) return;
    const { left, width } = over.getBoundingClientRect();
    const isAfter = index > this.layout.order.indexOf(pane.room);
    // Only past the middle: otherwise two panes of different widths would swap back and forth.
    if (isAfter !== x > left + width / 2) return;
    this.layout.order = [...this.layout.order];
    if (this.layout.moveTo(pane.room, index)) this.#arrange();
  }
}

/** @param {EventTarget | null} target */
export function paneOf(target) {
  const pane = target instanceof Element ? target.closest("room-pane") : null;
  return pane instanceof RoomPane ? pane : null;
}
