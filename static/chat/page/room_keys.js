/** The keys in the list of rooms, which is one stop of Tab: arrows, Home and End go from room to room. */

/** Tabs on a phone stand beside each other, the list's rooms below each other: both pairs of arrows work. @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export class RoomKeys {
  /** @type {(HTMLElement | undefined)[]} */
  #buttons = [];
  /** The one button that Tab reaches. @type {HTMLElement | undefined} */
  #stop;

  /** @param {HTMLElement} list */
  constructor(list) {
    list.addEventListener("focusin", ({ target }) => {
      const button = target instanceof Element ? target.closest("button[data-room]") : null;
      if (button instanceof HTMLElement) this.#stopAt(button);
    });
    list.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Take the rooms' buttons in their order. @param {(HTMLElement | undefined)[]} buttons */
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
    const at = this.#buttons.indexOf(/** @type {HTMLElement} */ (target));
    const to = { Home: 0, End: this.#buttons.length - 1 }[key] ?? at + (STEPS[key] ?? 0);
    if (at === -1 || to === at) return;
    event.preventDefault();
    this.#buttons[to]?.focus();
  }
}
