/** The page's only menu: opens at a button, is used with the arrow keys, and closes on Escape or a click elsewhere. */

import { placeBeside } from "./place.js";
import { copyElement, part } from "./templates.js";

/** `keys`: the shortcut, as in `aria-keyshortcuts`; `isOn`: of a setting that the item switches. @typedef {{label: string, act: () => void, keys?: string, isOn?: boolean}} Item */

export class Menu {
  #box;
  #keyWords;
  /** @type {HTMLElement | null} */
  #anchor = null;

  /** @param {HTMLElement} box a popover @param {(keys: string) => string} keyWords how a shortcut is shown */
  constructor(box, keyWords) {
    this.#box = box;
    this.#keyWords = keyWords;
    box.addEventListener("keydown", (event) => this.#moveFocus(event));
    box.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.#anchor?.setAttribute("aria-expanded", String(isOpen));
    });
  }

  /**
   * @param {HTMLElement} anchor the button that opens it
   * @param {string} name
   * @param {Item[]} items
   */
  open(anchor, name, items) {
    if (items.length === 0) return;
    this.#anchor?.setAttribute("aria-expanded", "false");
    this.#anchor = anchor;
    this.#box.setAttribute("aria-label", name);
    this.#box.replaceChildren(...items.map((item) => this.#button(item)));
    this.#box.showPopover();
    placeBeside(this.#box, anchor.getBoundingClientRect());
    this.#buttons[0]?.focus();
  }

  get #buttons() {
    return /** @type {HTMLElement[]} */ ([...this.#box.children]);
  }

  /** @param {Item} item */
  #button({ label, act, keys, isOn }) {
    const button = copyElement("menu-item-template");
    part(button, "label").textContent = label;
    part(button, "keys").textContent = this.#keyWords(keys ?? "");
    if (isOn !== undefined) {
      button.role = "menuitemcheckbox";
      button.ariaChecked = String(isOn);
    }
    if (keys) button.setAttribute("aria-keyshortcuts", keys);
    button.addEventListener("click", () => {
      this.#box.hidePopover();
      act();
    });
    return button;
  }

  /** @param {KeyboardEvent} event */
  #moveFocus(event) {
    const buttons = this.#buttons;
    const current = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") this.#box.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    buttons.at(next % buttons.length)?.focus();
  }
}
