/** The columns in which panes stand, and the changes of a layout that concern columns. */

/** @import {Layout} from "./layout.js" */

/** Panes as `Layout` has them. @typedef {Pick<Layout, "order" | "wide" | "shapes">} Arranged */
/** The rooms of a column, one above the other, its width in percent of an even column, and the height of its lower half in percent of an even half. @typedef {{rooms: string[], width: number, height: number, isStrip: boolean}} Column */

export const EVEN = 100;
/** How wide the one pane is that is widened. */
export const WIDE = 220;
/** The narrowest column, and the width of a strip, in pixels. */
export const MIN_PX = 280;
export const STRIP_PX = 44;
/** Below this height, two panes do not fit above each other: each has a head, and a composer with a quote, rooms and a question. Other parts of the page are made smaller below another height. */
export const LOW = "(height <= 35em)";
/** The least height of half a column, in rem: as high as it is in the lowest window that shows two. The style sheet has the same number. */
export const MIN_HALF_REM = 16.75;
/** The limits of the server (chat/protocol.py). */
const MIN = 10;
const MAX = 1000;
const MIN_HEIGHT = 20;

/**
 * @param {Arranged} layout
 * @param {boolean} [isStacked] false: the window is too low for two panes in a column
 * @returns {Column[]} from left to right
 */
export function columnsOf({ order, wide, shapes }, isStacked = true) {
  /** @type {Column[]} */
  const columns = [];
  for (const room of order) {
    const { width, strip = false, below, height = EVEN } = shapes[room] ?? {};
    const last = columns.at(-1);
    const canJoin = last !== undefined && !last.isStrip && last.rooms.length === 1;
    if (isStacked && below && !strip && canJoin) {
      last.rooms.push(room);
      last.height = height;
    } else {
      const own = width ?? evenOr(room === wide);
      columns.push({ rooms: [room], width: own, height: EVEN, isStrip: strip });
    }
  }
  // One alone would leave the window empty.
  const [first] = columns;
  if (first && columns.length === 1) first.isStrip = false;
  return columns;
}

/** @param {boolean} isWide */
function evenOr(isWide) {
  return isWide ? WIDE : EVEN;
}

/** How the style sheet sizes columns: each shares what is free, down to its narrowest width. A wide one narrows less. @param {Column[]} columns */
export function trackSizes(columns) {
  return columns
    .map(({ width, isStrip }) =>
      isStrip ? `${STRIP_PX}px` : `minmax(min(${leastPx(width)}px, 100%), ${width}fr)`,
    )
    .join(" ");
}

/** @param {number} width in percent */
function leastPx(width) {
  return Math.round(MIN_PX * (1 + Math.max(0, width - EVEN) / (WIDE - EVEN)));
}

/** The width in percent of a column that is so narrow because the row is full. @param {number} px */
export function widthOf(px) {
  return limited(EVEN + Math.round((Math.max(0, px - MIN_PX) / MIN_PX) * (WIDE - EVEN)));
}

/**
 * Drag the edge between two columns.
 * @param {{left: number, right: number}} px their widths when the drag began, in pixels
 * @param {{left: number, right: number}} width the same in percent
 * @param {number} by pixels to the right
 * @returns {{left: number, right: number}} the new widths in percent
 */
export function dragEdge(px, width, by) {
  const most = Math.max(0, px.right - MIN_PX);
  const least = -Math.max(0, px.left - MIN_PX);
  const moved = Math.min(Math.max(by, least), most);
  const percent = (width.left + width.right) / (px.left + px.right);
  const left = Math.round((px.left + moved) * percent);
  return { left: limited(left), right: limited(width.left + width.right - left) };
}

/** The upper pane's share of a column's height. @param {Column} column */
export function upperShare({ height }) {
  return 1 - height / (2 * EVEN);
}

/**
 * Drag the edge between the halves of a column.
 * @param {{upper: number, lower: number}} px their heights when the drag began, in pixels
 * @param {number} leastPx the least height of a half
 * @param {number} by pixels down
 * @returns {number} the new height of the lower half in percent of an even one
 */
export function dragHalves({ upper, lower }, leastPx, by) {
  const even = (upper + lower) / 2;
  const least = Math.min(leastPx, even);
  const moved = Math.min(Math.max(lower - by, least), 2 * even - least);
  const height = Math.round((EVEN * moved) / even);
  return Math.min(Math.max(height, MIN_HEIGHT), 2 * EVEN - MIN_HEIGHT);
}

/** @param {number} width */
function limited(width) {
  return Math.min(Math.max(width, MIN), MAX);
}

/**
 * Put a pane into a column of its own.
 * @param {Layout} layout
 * @param {string} room
 * @param {number} index how many columns of other panes are before it
 * @returns {boolean} whether anything changed
 */
export function placeColumn(layout, room, index) {
  if (!layout.order.includes(room)) return false;
  const before = JSON.stringify([layout.order, layout.shapes]);
  const rest = columnsWithout(layout, room);
  const at = Math.max(0, index);
  layout.order = [...rest.slice(0, at).flat(), room, ...rest.slice(at).flat()];
  layout.changeShape(room, { below: false });
  for (const [first = ""] of rest) layout.changeShape(first, { below: false });
  return JSON.stringify([layout.order, layout.shapes]) !== before;
}

/** @param {Layout} layout @param {string} room @returns {string[][]} */
function columnsWithout(layout, room) {
  return columnsOf(layout)
    .map(({ rooms }) => rooms.filter((id) => id !== room))
    .filter((rooms) => rooms.length > 0);
}

/**
 * Move a pane to the left or right. One that shares its column gets a column of its own beside it.
 * @param {Layout} layout
 * @param {string} room
 * @param {1 | -1} by
 * @returns {boolean} whether anything changed
 */
export function moveColumn(layout, room, by) {
  const at = indexOf(layout, room);
  const isShared = (columnsOf(layout)[at]?.rooms.length ?? 0) > 1;
  return placeColumn(layout, room, isShared ? at + (by + 1) / 2 : at + by);
}

/** The pane whose width is that of a pane's column: the upper one. @param {Arranged} layout @param {string} room */
export function upperOf(layout, room) {
  return columnsOf(layout)[indexOf(layout, room)]?.rooms[0] ?? room;
}

/** Whether a pane's column is wider than an even one. @param {Arranged} layout @param {string} room */
export function isWidened(layout, room) {
  return (columnsOf(layout)[indexOf(layout, room)]?.width ?? EVEN) > EVEN;
}

/** The index of a pane's column. @param {Arranged} layout @param {string} room */
export function indexOf(layout, room) {
  return columnsOf(layout).findIndex(({ rooms }) => rooms.includes(room));
}

/** The pane below which a pane can be put: of the column before it, otherwise after it. Strips are passed over. @param {Arranged} layout @param {string} room @returns {string | undefined} */
export function upperFor(layout, room) {
  const columns = columnsOf(layout);
  const at = indexOf(layout, room);
  const own = columns[at];
  if (!own || own.isStrip || own.rooms.length > 1) return undefined;
  const isColumn = (/** @type {Column} */ { isStrip }) => !isStrip;
  const beside = [columns.slice(0, at).findLast(isColumn), columns.slice(at + 1).find(isColumn)];
  return beside.find((column) => column?.rooms.length === 1)?.rooms[0];
}

/** Put a pane into the lower half of another one's column. @param {Layout} layout @param {string} room @param {string} upper */
export function placeBelow(layout, room, upper) {
  placeColumn(layout, room, columnsOf(layout).length);
  const order = layout.order.filter((id) => id !== room);
  order.splice(order.indexOf(upper) + 1, 0, room);
  layout.order = order;
  if (layout.wide === room) layout.wide = null;
  layout.changeShape(room, { below: true, strip: false, width: 0 });
}

/** Make all columns equally wide. @param {Layout} layout */
export function evenOut(layout) {
  layout.wide = null;
  for (const room of layout.order) layout.changeShape(room, { width: 0 });
}
