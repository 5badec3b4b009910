/** Moves the focus in the room list, which is a single Tab stop, with the arrow keys, Home and End. */

/** @import {RoomRow} from "./room_row.js" */

/** Both pairs of arrows work, because rooms are below each other, and on a phone beside each other. @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export class RoomKeys {
  /** @type {RoomRow[]} */
  #rows = [];
  /** The only row that Tab reaches: its own button, then the one that opens or closes its pane. @type {RoomRow | undefined} */
  #stop;

  /** @param {HTMLElement} list */
  constructor(list) {
    list.addEventListener("focusin", ({ target }) => {
      const item = target instanceof Element ? target.closest("nav li") : null;
      const row = item && this.#rows.find((row) => row.item === item);
      if (row) this.#stopAt(row);
    });
    list.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Set the rows in their order. @param {RoomRow[]} rows */
  setRows(rows) {
    this.#rows = rows;
    for (const row of rows)
      if (row !== this.#stop && row.button.tabIndex !== -1) row.button.tabIndex = -1;
    if (!this.#stop?.item.isConnected) this.#stopAt(rows[0]);
  }

  /** @param {RoomRow | undefined} row */
  #stopAt(row) {
    if (row === this.#stop) return;
    if (this.#stop) this.#stop.button.tabIndex = this.#stop.toggle.tabIndex = -1;
    this.#stop = row;
    if (row) row.button.tabIndex = row.toggle.tabIndex = 0;
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const { key, target } = event;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const current = this.#rows.findIndex(
      ({ button, toggle }) => target === button || target === toggle,
    );
    const next = { Home: 0, End: this.#rows.length - 1 }[key] ?? current + (STEPS[key] ?? 0);
    if (current === -1 || next === current) return;
    event.preventDefault();
    this.#rows[next]?.button.focus();
  }
}
