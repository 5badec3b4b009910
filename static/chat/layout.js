/** Which panes stand in which order, and which one is widened. */

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
  put(room, at) {
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
  move(room, by) {
    return this.put(room, this.order.indexOf(room) + by);
  }

  /** Widen a pane, or even it out again. @param {string} room */
  toggleWide(room) {
    this.wide = this.wide === room ? null : room;
  }

  /** What the address of the page is, to be shared. */
  get address() {
    if (!this.order.length) return "/";
    const wide = this.wide === null ? "" : `&wide=${this.wide}`;
    return `/?rooms=${this.order.join(",")}${wide}`;
  }
}
