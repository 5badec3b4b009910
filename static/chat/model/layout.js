/** The order of the panes, which of them is widened, and the shapes of those that are not even columns. */

/** @import {LayoutChange, Shape} from "./protocol.js" */

/** @typedef {{order: string[], wide: string | null, shapes: Record<string, Shape>}} Panes */

export class Layout {
  /** @type {string[]} */
  order = [];
  /** @type {string | null} */
  wide = null;

  /** @type {Record<string, Shape>} */
  shapes = {};

  /** A provisional pane, which the next peek replaces. It is in the order, but not saved. @type {string | null} */
  peek = null;

  /** The provisional pane of before, while the user catches up. It is not saved either. @type {string | null} */
  held = null;

  /** @param {string} room */
  add(room) {
    if (!this.order.includes(room)) this.order.push(room);
  }

  /** @param {string} room */
  remove(room) {
    // The pane in the lower half gets the column.
    const next = this.order[this.order.indexOf(room) + 1];
    if (next) this.changeShape(next, { below: false });
    delete this.shapes[room];
    this.order = this.order.filter((id) => id !== room);
    if (this.wide === room) this.wide = null;
    if (this.peek === room) this.peek = null;
  }

  /**
   * Move a pane to an index, limited to the ends.
   * @param {string} room
   * @param {number} index
   * @returns {boolean} whether anything changed
   */
  moveTo(room, index) {
    const from = this.order.indexOf(room);
    const to = Math.max(0, Math.min(index, this.order.length - 1));
    if (from < 0 || from === to) return false;
    this.order.splice(from, 1);
    this.order.splice(to, 0, room);
    return true;
  }

  /** Change what is named of a pane's shape. What is false or undefined is taken away, and so is the height of a pane that is no lower half. @param {string} room @param {Shape} change */
  changeShape(room, change) {
    const shape = { ...this.shapes[room], ...change };
    const entries = Object.entries(shape).filter(
      ([name, on]) => on && (name !== "height" || shape.below),
    );
    if (entries.length) this.shapes[room] = Object.fromEntries(entries);
    else delete this.shapes[room];
  }

  /** The panes that are saved. */
  get #kept() {
    return this.order.filter((room) => room !== this.peek && room !== this.held);
  }

  /** A copy of the current layout. @returns {Panes} */
  get panes() {
    return { order: this.#kept, wide: this.wide, shapes: { ...this.shapes } };
  }

  /** The page's address, which can be shared. */
  get address() {
    const order = this.#kept;
    if (!order.length) return "/";
    const wide = this.wide === null ? "" : `&wide=${this.wide}`;
    const shapes = order.flatMap((room) =>
      Object.entries(this.shapes[room] ?? {}).map(
        ([name, value]) =>
          `${room}-${value === true ? name : name === "height" ? `h${value}` : value}`,
      ),
    );
    return `/?rooms=${order.join(",")}${wide}${shapes.length ? `&shape=${shapes.join(",")}` : ""}`;
  }
}

/**
 * Find the change from one layout to another. The server applies it to what other pages have saved meanwhile.
 * @param {Panes} before
 * @param {Panes} after
 * @returns {LayoutChange | null} null: the layouts are equal
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
    // A pane that was opened last goes to the end, wherever that is by then.
    if (next === undefined && isNew) put.push({ room });
    else put.push(previous === undefined ? { room, before: next } : { room, after: previous });
  });
  /** @type {LayoutChange} */
  const change = { put, close };
  if (after.wide !== null && after.wide !== before.wide) change.wide = after.wide;
  if (after.wide === null && before.wide !== null) change.narrow = before.wide;
  const shapes = after.order
    .filter((room) => signatureOf(before.shapes[room]) !== signatureOf(after.shapes[room]))
    .map((room) => ({ room, ...after.shapes[room] }));
  if (shapes.length) change.shapes = shapes;
  return put.length || close.length || Object.keys(change).length > 2 ? change : null;
}

/** The same for equal shapes. @param {Shape} [shape] */
function signatureOf(shape = {}) {
  return `${Object.entries(shape).sort()}`;
}
