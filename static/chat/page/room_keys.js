/** Moves the focus in the room list, which is a single Tab stop, with the arrow keys, Home and End. */

/** Both pairs of arrows work, because rooms are below each other, and on a phone beside each other. @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export class RoomKeys {
  /** @type {(HTMLElement | undefined)[]} */
  #buttons = [];
  /** The only button that Tab reaches. @type {HTMLElement | undefined} */
  #stop;

  /** @param {HTMLElement} list */
  constructor(list) {
    list.addEventListener("focusin", ({ target }) => {
      const button = target instanceof Element ? target.closest("button[data-room]") : null;
      if (button instanceof HTMLElement) this.#stopAt(button);
    });
    list.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Set the rooms' buttons in their order. @param {(HTMLElement | undefined)[]} buttons */
  setButtons(buttons) {
    this.#buttons = buttons;
    for (const button of buttons)
      if (button && button !== this.#stop && button.tabIndex !== -1) button.tabIndex = -1;
    if (!this.#stop?.isConnected) this.#stopAt(buttons[0]);
  }

  /** @param {HTMLElement | undefined} button */
  #stopAt(button) {
    if (button === this.#stop) return;
    if (this.#stop) this.#stop.tabIndex = -1;
    this.#stop = button;
    if (button) button.tabIndex = 0;
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const { key, target } = event;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const current = this.#buttons.indexOf(/** @type {HTMLElement} */ (target));
    const next = { Home: 0, End: this.#buttons.length - 1 }[key] ?? current + (STEPS[key] ?? 0);
    if (current === -1 || next === current) return;
    event.preventDefault();
    this.#buttons[next]?.focus();
  }
}
