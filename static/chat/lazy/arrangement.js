/** Shows the shapes of panes (wide or narrow columns, strips, lower halves), and lets the user change them and the order. */

import { startDrag } from "../dom/drag.js";
import { createEdge } from "../dom/edge.js";
import { glideFromHere } from "../dom/glide.js";
import { part, setHue, setText } from "../dom/templates.js";
import * as columns from "../model/columns.js";
import { countsWords, edgeWords, stripWords } from "../model/strings.js";

/** @import {EdgeActions} from "../dom/edge.js" */
/** @import {Column} from "../model/columns.js" */
/** @import {Layout, Panes} from "../model/layout.js" */
/** @import {Counts} from "../model/strings.js" */

/** What is needed of a pane. @typedef {HTMLElement & {room: string}} Pane */
/** What is needed of the row of panes. @typedef {{layout: Layout, isPhone: boolean, seen: string | null, get: (room: string) => Pane | undefined, keep: (room: string) => void, showOrder: () => void, showLayout: () => void, onchange: () => void, onarranged: () => void, onfolded: (room: string) => void, arrangeAs: (panes: Panes) => void, scrollToPane: (room: string) => void}} PaneRow */
/** A room's row in the list. @typedef {{item: HTMLElement, room: string, title: string, counts: Counts & {isAnyUnread: boolean}, hasAlert: boolean}} Row */
/** The list of rooms. @typedef {{rowOf: (room: string) => Row | undefined, onrow: (room: string) => void}} Rows */

/** A pane that is dropped on this lower part of another one stands below it. */
const LOWER_PART = 0.6;

export class Arrangement {
  #panes;
  #row;
  #list;
  /** Between columns. @type {HTMLElement[]} */
  #edges = [];
  /** Between the halves of each column. @type {HTMLElement[]} */
  #halves = [];
  /** The columns as they are shown. @type {Column[]} */
  #columns = [];
  /** The pane below which the dragged one would be dropped. @type {Pane | null} */
  #upper = null;
  #low = matchMedia(columns.LOW);
  #resized = new ResizeObserver(() => this.#showShares());
  #wasPhone = false;

  /** @param {PaneRow} panes @param {HTMLElement} row @param {Rows} list */
  constructor(panes, row, list) {
    this.#panes = panes;
    this.#row = row;
    this.#list = list;
    list.onrow = (room) => this.#showState(room);
    this.#low.addEventListener("change", () => this.show());
    // A pane that was not folded because its user was in it.
    row.addEventListener("focusout", () => requestAnimationFrame(() => this.show()));
  }

  /** Show the panes' columns. */
  show() {
    const { layout } = this.#panes;
    this.#columns = columns.columnsOf(layout, !this.#low.matches).map((column) => ({
      ...column,
      isStrip: column.isStrip && !this.#isUsed(column.rooms[0]),
    }));
    this.#row.classList.add("arranged");
    setStyle(this.#row, "--columns", columns.trackSizes(this.#columns));
    this.#columns.forEach((column, index) => {
      const { rooms, isStrip } = column;
      for (const room of rooms) {
        const pane = this.#panes.get(room);
        if (!pane) continue;
        setStyle(pane, "--column", String(index + 1));
        setStyle(pane, "--upper", String(columns.upperShare(column)));
        pane.classList.toggle("upper", rooms.length > 1 && room === rooms[0]);
        pane.classList.toggle("lower", rooms.length > 1 && room !== rooms[0]);
        this.#showStrip(pane, isStrip);
      }
    });
    this.#showEdges();
    this.#showTab();
  }

  /** When the list becomes a row of tabs, as on a phone that is turned, the tab of the pane that is seen is in view. */
  #showTab() {
    const { isPhone, seen } = this.#panes;
    if (isPhone && !this.#wasPhone && seen !== null)
      this.#list.rowOf(seen)?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#wasPhone = isPhone;
  }

  /** Whether the user is in a pane: it does not become a strip under their hands. @param {string | undefined} room */
  #isUsed(room = "") {
    const { activeElement } = document;
    const isIn = this.#panes.get(room)?.contains(activeElement) === true;
    return isIn && activeElement?.closest(".open-strip") === null;
  }

  /** A pane is about to be closed: in the next frame, the others glide to where they then stand. */
  closing() {
    // Where the panes are in view is known once they stand still.
    glideFromHere(this.#row, () => this.#panes.onchange());
  }

  /** @param {string} room @param {1 | -1} by */
  move(room, by) {
    const { layout } = this.#panes;
    const rooms = columns.columnsOf(layout)[columns.indexOf(layout, room)]?.rooms ?? [];
    // On a phone, the two panes of a column are two tabs.
    if (this.#panes.isPhone && rooms.length > 1) {
      if (!layout.moveTo(room, layout.order.indexOf(room) + by)) return;
      for (const id of rooms) layout.changeShape(id, { below: false });
    } else if (!columns.moveColumn(layout, room, by)) return;
    this.#panes.keep(room);
    this.#panes.showOrder();
    this.#panes.get(room)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Widen a pane, or even it out again. @param {string} room */
  toggleWide(room) {
    const { layout } = this.#panes;
    if (!this.#panes.get(room)) return;
    const upper = columns.upperOf(layout, room);
    layout.wide = columns.isWidened(layout, room) ? null : upper;
    layout.changeShape(upper, { width: 0 });
    this.#changed(room);
    this.#panes.scrollToPane(room);
  }

  /** Make a pane a strip. Its own button makes it a column again. @param {string} room */
  fold(room) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    const { activeElement } = document;
    const hadFocus = pane.contains(activeElement);
    if (hadFocus && activeElement instanceof HTMLElement) activeElement.blur();
    const { layout } = this.#panes;
    // A strip takes no half of a column.
    const isLower = columns.upperOf(layout, room) !== room;
    columns.placeColumn(layout, room, columns.indexOf(layout, room) + (isLower ? 1 : 0));
    layout.changeShape(room, { strip: true });
    this.#panes.keep(room);
    this.#panes.showOrder();
    if (hadFocus && pane.classList.contains("strip")) part(pane, "open-strip").focus();
  }

  /** Put a pane into the lower half of another one's column. @param {string} room @param {string} upper */
  putBelow(room, upper) {
    // One of them may have been closed meanwhile.
    if (!this.#panes.get(room) || !this.#panes.get(upper)) return;
    columns.placeBelow(this.#panes.layout, room, upper);
    this.#panes.keep(upper);
    this.#panes.keep(room);
    this.#panes.showOrder();
  }

  /** Give a pane of a shared column its own one. @param {string} room */
  separate(room) {
    const { layout } = this.#panes;
    const column = columns.columnsOf(layout)[columns.indexOf(layout, room)];
    const lower = column?.rooms[1];
    if (lower === undefined) return;
    layout.changeShape(lower, { below: false });
    this.#changed(room);
  }

  /** The pointer was pressed in the row. @param {PointerEvent} press */
  pressed(press) {
    if (this.#panes.isPhone || !(press.target instanceof Element)) return;
    const pane = /** @type {Pane | null} */ (press.target.closest("room-pane"));
    if (!pane || !press.target.closest(".pane-head")) return;
    const { layout } = this.#panes;
    if (layout.order.length < 2) return;
    const before = { ...layout.panes, order: [...layout.order] };
    startDrag(press, pane, this.#row, {
      over: (x, y) => this.#dragOver(pane, x, y),
      drop: () => {
        const upper = this.#upper?.room;
        this.#showUpper(null);
        if (upper !== undefined) this.putBelow(pane.room, upper);
      },
      cancel: () => {
        this.#showUpper(null);
        // Other panes may be open by now.
        const order = before.order.filter((room) => this.#panes.get(room));
        this.#panes.arrangeAs({ ...before, order });
      },
    });
  }

  /** @param {string} room that was changed by the user */
  #changed(room) {
    this.#panes.keep(room);
    this.#panes.showLayout();
    this.#panes.onarranged();
  }

  /** Move the dragged pane to the column under the pointer, or mark the pane below which it would stand. @param {Pane} pane @param {number} x @param {number} y */
  #dragOver(pane, x, y) {
    const { layout } = this.#panes;
    const all = columns.columnsOf(layout);
    const isUnder = (/** @type {string} */ room) => {
      const box = room === pane.room ? undefined : this.#panes.get(room)?.getBoundingClientRect();
      return box !== undefined && x >= box.left && x <= box.right;
    };
    const over = all.findIndex(({ rooms }) => rooms.some(isUnder));
    const column = all[over];
    const upper = this.#panes.get(column?.rooms.find(isUnder) ?? "");
    if (!column || !upper) return this.#showUpper(null);
    const { left, width, top, height } = upper.getBoundingClientRect();
    const isLow = y > top + height * LOWER_PART && !this.#low.matches;
    const canStand = !column.isStrip && column.rooms.length === 1;
    this.#showUpper(isLow && canStand ? upper : null);
    if (this.#upper) return;
    const own = columns.indexOf(layout, pane.room);
    if (own === over) return;
    const isAfter = over > own;
    // Only past the middle: otherwise two panes of different widths would swap back and forth.
    if (isAfter !== x > left + width / 2) return;
    const isAlone = all[own]?.rooms.length === 1;
    const index = isAlone || !isAfter ? over : over + 1;
    if (columns.placeColumn(layout, pane.room, index)) this.#panes.showOrder();
  }

  /** @param {Pane | null} pane */
  #showUpper(pane) {
    this.#upper?.classList.remove("takes-below");
    pane?.classList.add("takes-below");
    this.#upper = pane;
  }

  /** Show an edge between every two columns that can be resized, and between the halves of a column. */
  #showEdges() {
    const count = this.#panes.isPhone ? 0 : this.#columns.length;
    this.#makeEdges(this.#edges, Math.max(0, count - 1), (index) =>
      createEdge(
        "vertical",
        this.#actionsOf(() => this.#edgeDragger(index)),
      ),
    );
    this.#makeEdges(this.#halves, count, (index) =>
      createEdge("horizontal", {
        ...this.#actionsOf(() => this.#halvesDragger(index)),
        evenOut: () => this.#evenOutHalves(index),
      }),
    );
    this.#edges.forEach((edge, index) => {
      const [left, right] = [this.#columns[index], this.#columns[index + 1]];
      edge.hidden = !left || !right || left.isStrip || right.isStrip;
      if (!left || !right || edge.hidden) return;
      this.#showEdge(edge, index, left.rooms[0], right.rooms[0]);
    });
    this.#halves.forEach((edge, index) => {
      const column = this.#columns[index];
      edge.hidden = column?.rooms[1] === undefined;
      if (!column || edge.hidden) return;
      this.#showEdge(edge, index, column.rooms[0], column.rooms[1]);
      setStyle(edge, "--upper", String(columns.upperShare(column)));
    });
    // Each pane is measured when the browser has laid out the row, which it need not do now.
    this.#resized.disconnect();
    for (const pane of this.#row.querySelectorAll("room-pane")) this.#resized.observe(pane);
  }

  /** Edges say what share the pane before them has on the screen: the style sheet makes no column and no half too small to be used. */
  #showShares() {
    const boxOf = (/** @type {string | undefined} */ room) =>
      this.#panes.get(room ?? "")?.getBoundingClientRect();
    this.#edges.forEach((edge, index) => {
      const [left, right] = [this.#columns[index], this.#columns[index + 1]];
      showShare(edge, boxOf(left?.rooms[0])?.width, boxOf(right?.rooms[0])?.width);
    });
    this.#halves.forEach((edge, index) => {
      const [upper, lower] = this.#columns[index]?.rooms ?? [];
      showShare(edge, boxOf(upper)?.height, boxOf(lower)?.height);
    });
  }

  /** @param {HTMLElement[]} edges @param {number} count @param {(index: number) => HTMLElement} create */
  #makeEdges(edges, count, create) {
    while (edges.length > count) edges.pop()?.remove();
    while (edges.length < count) {
      const edge = create(edges.length);
      edges.push(edge);
      this.#row.append(edge);
    }
  }

  /** @param {HTMLElement} edge @param {number} index of its column @param {string | undefined} [before] @param {string | undefined} [after] */
  #showEdge(edge, index, before, after) {
    setStyle(edge, "--column", String(index + 1));
    edge.ariaLabel = edgeWords(this.#titleOf(before), this.#titleOf(after));
  }

  /** @param {EdgeActions["begin"]} begin @returns {EdgeActions} */
  #actionsOf(begin) {
    return { begin, end: () => this.#panes.onarranged(), evenOut: () => this.#evenOut() };
  }

  #evenOut() {
    columns.evenOut(this.#panes.layout);
    this.#panes.showLayout();
    this.#panes.onarranged();
  }

  /** @param {number} index of a column */
  #evenOutHalves(index) {
    const [, lower] = this.#columns[index]?.rooms ?? [];
    if (lower === undefined) return;
    this.#panes.layout.changeShape(lower, { height: 0 });
    this.#panes.showLayout();
    this.#panes.onarranged();
  }

  /** @param {number} index @returns {((by: number) => void) | undefined} moves the edge between halves by so many pixels from where it is now */
  #halvesDragger(index) {
    const [upper = "", lower = ""] = this.#columns[index]?.rooms ?? [];
    const panes = [this.#panes.get(upper), this.#panes.get(lower)];
    if (!panes[0] || !panes[1]) return undefined;
    const px = { upper: panes[0].offsetHeight, lower: panes[1].offsetHeight };
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    return (by) => {
      const height = columns.dragHalves(px, columns.MIN_HALF_REM * rem, by);
      this.#panes.layout.changeShape(lower, { height });
      this.#panes.showLayout();
    };
  }

  /** @param {number} index @returns {((by: number) => void) | undefined} moves the edge by so many pixels from where it is now */
  #edgeDragger(index) {
    const [left, right] = [this.#columns[index], this.#columns[index + 1]];
    const [leftRoom, rightRoom] = [left?.rooms[0], right?.rooms[0]];
    const panes = [this.#panes.get(leftRoom ?? ""), this.#panes.get(rightRoom ?? "")];
    if (!left || !right || !leftRoom || !rightRoom || !panes[0] || !panes[1]) return undefined;
    const px = { left: panes[0].offsetWidth, right: panes[1].offsetWidth };
    const width = { left: left.width, right: right.width };
    const shown = this.#widthsAsShown();
    // Where columns are beyond the row's end, one can grow without another one that shrinks.
    const isFull = this.#row.scrollWidth > this.#row.clientWidth + 1;
    return (by) => {
      const { layout } = this.#panes;
      if (!isFull) for (const [room, own] of shown) layout.changeShape(room, { width: own });
      const changed = isFull
        ? { left: columns.widthOf(px.left + by), right: width.right }
        : columns.dragEdge(px, width, by);
      // Their widths say all, so that none of the two is the wide one any more.
      if (layout.wide === leftRoom || layout.wide === rightRoom) layout.wide = null;
      layout.changeShape(leftRoom, { width: changed.left });
      layout.changeShape(rightRoom, { width: changed.right });
      this.#panes.showLayout();
    };
  }

  /** The widths in percent that columns have, if some of them are wider than their share because they can't be narrower. @returns {Map<string, number>} */
  #widthsAsShown() {
    const all = this.#columns.flatMap(({ rooms: [room = ""], width, isStrip }) => {
      const px = isStrip ? 0 : (this.#panes.get(room)?.offsetWidth ?? 0);
      return px ? [{ room, width, px }] : [];
    });
    const even = all.reduce((sum, { px }) => sum + px, 0) / all.length;
    const total = all.reduce((sum, { width }) => sum + width, 0) / all.length;
    const isOff = all.some(({ width, px }) => Math.abs(px / even - width / total) > 0.01);
    return new Map(
      isOff ? all.map(({ room, px }) => [room, Math.round((columns.EVEN * px) / even)]) : [],
    );
  }

  /** @param {Pane} pane @param {boolean} isStrip */
  #showStrip(pane, isStrip) {
    if (pane.classList.contains("strip") === isStrip) {
      if (isStrip) this.#showState(pane.room); // its title may be another one
      return;
    }
    pane.classList.toggle("strip", isStrip);
    this.#panes.onfolded(pane.room);
    if (!isStrip) return pane.querySelector(":scope > [data-part=open-strip]")?.remove();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "open-strip";
    button.dataset.part = "open-strip";
    const [hue, title, count] = ["hue", "title", "unread"].map((name) => {
      const element = document.createElement("span");
      element.className = name;
      return element;
    });
    if (!hue || !title || !count) return;
    hue.ariaHidden = "true";
    title.dir = "auto";
    setHue(button, pane.room);
    button.append(hue, title, count);
    button.addEventListener("click", () => this.#unfold(pane.room));
    pane.append(button);
    this.#showState(pane.room);
  }

  /** @param {string} room */
  #unfold(room) {
    this.#panes.scrollToPane(room);
    /** @type {Pane & {composer?: {focus: () => void}} | undefined} */
    const pane = this.#panes.get(room);
    pane?.composer?.focus();
  }

  /** Show how much is unread in a strip, and whether there is an alert. @param {string} room */
  #showState(room) {
    const button = this.#panes.get(room)?.querySelector(":scope > .open-strip");
    if (!(button instanceof HTMLElement)) return;
    const [, title, count] = button.children;
    const row = this.#list.rowOf(room);
    if (!(title instanceof HTMLElement) || !(count instanceof HTMLElement)) return;
    setText(title, this.#titleOf(room));
    const counts = row?.counts ?? { unread: 0, mentions: 0, isAnyUnread: false };
    const hasAlert = row?.hasAlert === true;
    count.hidden = !counts.isAnyUnread && !hasAlert;
    setText(count, hasAlert ? "!" : countsWords(counts));
    count.classList.toggle("for-me", counts.mentions > 0 && !hasAlert);
    count.classList.toggle("dot", counts.unread === 0 && !hasAlert);
    count.classList.toggle("alert", hasAlert);
    button.ariaLabel = stripWords(this.#titleOf(room), counts, hasAlert);
    button.title = button.ariaLabel;
  }

  /** @param {string | undefined} room */
  #titleOf(room = "") {
    return this.#panes.get(room)?.ariaLabel ?? "";
  }
}

/** Set a property unless it has this value, because setting it makes the browser lay out the row. @param {HTMLElement} element @param {string} name @param {string} value */
function setStyle(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

/** @param {HTMLElement} edge @param {number} [before] the size of the pane before it, in pixels @param {number} [after] */
function showShare(edge, before, after) {
  if (before && after) edge.ariaValueNow = String(Math.round((100 * before) / (before + after)));
}
