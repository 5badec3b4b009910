/** Which panes stand in which order, and which one is widened. */

/** @import {LayoutChange} from "./protocol.js" */

/** @typedef {{order: string[], wide: string | null}} Panes */

export class Layout {
  /** @type {string[]} */
  order = [];
  /** @type {string | null} */
  wide = null;

  /** @param {string} room */
  add(room) {
    if (!this.order.includes(room)) this.order.push(room);
  }

  /** @param {string} room */
  remove(room) {
    this.order = this.order.filter((other) => other !== room);
    if (this.wide === room) this.wide = null;
  }

  /**
   * Put a pane at a place; beyond the ends is at the end.
   * @param {string} room
   * @param {number} at
   * @returns {boolean} whether anything changed
   */
  moveTo(room, at) {
    const from = this.order.indexOf(room);
    const to = Math.max(0, Math.min(at, this.order.length - 1));
    if (from < 0 || from === to) return false;
    this.order.splice(from, 1);
    this.order.splice(to, 0, room);
    return true;
  }

  /**
   * @param {string} room
   * @param {number} by
   */
  moveBy(room, by) {
    return this.moveTo(room, this.order.indexOf(room) + by);
  }

  /** Widen a pane, or even it out again. @param {string} room */
  toggleWide(room) {
    this.wide = this.wide === room ? null : room;
  }

  /** As it is now. @returns {Panes} */
  get panes() {
    return { order: [...this.order], wide: this.wide };
  }

  /** What the address of the page is, to be shared. */
  get address() {
    if (!this.order.length) return "/";
    const wide = this.wide === null ? "" : `&wide=${this.wide}`;
    return `/?rooms=${this.order.join(",")}${wide}`;
  }
}

/**
 * What turns one layout into another. It is applied to whatever other pages have saved meanwhile.
 * @param {Panes} before
 * @param {Panes} after
 * @returns {LayoutChange | null} null: they are the same
 */
export function changeOf(before, after) {
  const close = before.order.filter((room) => !after.order.includes(room));
  const order = before.order.filter((room) => after.order.includes(room));
  /** @type {LayoutChange["put"]} */
  const put = [];
  after.order.forEach((room, at) => {
    if (order[at] === room) return;
    const isNew = !before.order.includes(room);
    if (!isNew) order.splice(order.indexOf(room), 1);
    const [previous, next] = [order[at - 1], order[at]];
    order.splice(at, 0, room);
    // What is opened last goes to the end, wherever that is.
    if (next === undefined && isNew) put.push({ room });
    else put.push(previous === undefined ? { room, before: next } : { room, after: previous });
  });
  /** @type {LayoutChange} */
  const change = { put, close };
  if (after.wide !== null && after.wide !== before.wide) change.wide = after.wide;
  if (after.wide === null && before.wide !== null) change.narrow = before.wide;
  return put.length || close.length || change.wide || change.narrow ? change : null;
}
