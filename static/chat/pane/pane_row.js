/** The row of panes, in their order, one of them perhaps widened. On a phone one pane is seen at a time. */

import { LazyPart } from "../dom/lazy_part.js";
import { Layout } from "../model/layout.js";
import { RoomPane } from "./room_pane.js";

/** @import {Arrangement, Rows} from "../lazy/arrangement.js" */
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
  #isArranged = false;
  /** @type {Map<string, RoomPane>} */
  #panes = new Map();
  #row;
  #phone = matchMedia(PHONE);
  /** Shows the shapes of panes, and lets the user change them. @type {LazyPart<Arrangement>} */
  #arrangement;

  /** A pane became a strip, or a column again. @type {(room: string) => void} */
  onfolded = () => {};

  /** @param {HTMLElement} row @param {Rows} list the rooms' rows @param {() => void} notLoaded */
  constructor(row, list, notLoaded) {
    this.#row = row;
    this.#arrangement = new LazyPart(async () => {
      const { Arrangement } = await import("lazy/arrangement");
      const arrangement = new Arrangement(this, row, list);
      arrangement.show();
      this.onchange();
      return arrangement;
    }, notLoaded);
    row.addEventListener("focusin", ({ target }) =>
      this.setSeen(paneOf(target)?.room ?? this.seen),
    );
    // Writing in a provisional pane, or a double click on its head, keeps it.
    row.addEventListener("input", ({ target }) => this.keep(paneOf(target)?.room));
    row.addEventListener("dblclick", ({ target }) => {
      if (target instanceof Element && target.closest(".pane-head") && !target.closest("button"))
        this.keep(paneOf(target)?.room);
    });
    row.addEventListener("pointerdown", (event) => this.#arrangement.loaded?.pressed(event));
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
    // The edges between columns come last.
    this.#row.insertBefore(pane, this.#row.querySelector(".pane-edge"));
    this.setSeen(this.seen ?? pane.room);
  }

  /** @param {string} room */
  removePane(room) {
    const index = this.layout.order.indexOf(room);
    this.#arrangement.loaded?.closing();
    this.#panes.get(room)?.remove();
    this.#panes.delete(room);
    this.layout.remove(room);
    const { order } = this.layout;
    this.setSeen(this.seen === room ? (order[index] ?? order.at(-1) ?? null) : this.seen);
  }

  /** From now on, load what shows the panes' shapes as soon as there is more than one pane. If it can't be loaded, all are columns. */
  loadArrangement() {
    this.#isArranged = true;
    this.showLayout();
  }

  /** The user changes the panes' order or shapes. @param {(arrangement: Arrangement) => void} change */
  arrange(change) {
    void this.#arrangement.use(change);
  }

  /** Make an open pane provisional: the next peek replaces it. @param {string} room */
  setPeek(room) {
    this.layout.peek = room;
    this.showLayout();
  }

  /** Keep a pane that was provisional. @param {string | undefined} room */
  keep(room) {
    if (room === undefined || this.layout.peek !== room) return;
    this.layout.peek = null;
    this.showLayout();
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
    if (this.layout.moveTo(room, index)) this.showOrder();
  }

  /** Put the open panes in this order and these shapes; a provisional one stays the last. @param {Panes} panes */
  arrangeAs({ order, wide, shapes }) {
    const { layout } = this;
    layout.order = [...order, ...layout.order.filter((room) => !order.includes(room))];
    layout.wide = wide;
    layout.shapes = { ...shapes };
    this.showOrder();
  }

  /** Whether a pane shows only its title. @param {string} room */
  isStrip(room) {
    const isOneShown = this.isPhone || this.#row.classList.contains("alone");
    return !isOneShown && this.layout.shapes[room]?.strip === true && this.#panes.size > 1;
  }

  /** Bring a pane into view. A strip becomes a column, unless panes are shown one at a time. @param {string} room */
  scrollToPane(room) {
    if (this.isStrip(room)) {
      this.layout.changeShape(room, { strip: false });
      this.onarranged();
    }
    this.setSeen(room);
    this.get(room)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {string | null} room */
  setSeen(room) {
    this.seen = room;
    this.showLayout();
  }

  /** Put the panes in the layout's order. The focused pane is not moved, because it would lose the focus. */
  showOrder() {
    const panes = this.layout.order.map((room) => /** @type {RoomPane} */ (this.#panes.get(room)));
    const fixed = this.focused ? Math.max(0, panes.indexOf(this.focused)) : 0;
    for (let i = fixed - 1; i >= 0; i -= 1) this.#movePane(panes[i], panes[i + 1] ?? null);
    for (let i = fixed + 1; i < panes.length; i += 1)
      this.#movePane(panes[i], panes[i - 1]?.nextElementSibling ?? null);
    this.showLayout();
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

  showLayout() {
    for (const [room, pane] of this.#panes) {
      pane.classList.toggle("seen", room === this.seen);
      pane.classList.toggle("wide", room === this.layout.wide);
      pane.showPeek(room === this.layout.peek);
    }
    this.#arrangement.loaded?.show();
    if (this.#isArranged && !this.#arrangement.loaded && this.layout.order[1])
      this.#arrangement.load().catch(() => {});
    this.onchange();
  }
}

/** @param {EventTarget | null} target */
export function paneOf(target) {
  const pane = target instanceof Element ? target.closest("room-pane") : null;
  return pane instanceof RoomPane ? pane : null;
}
