/** The page's only menu: opens at a button, is used with the arrow keys, and closes on Escape or a click elsewhere. Below its items it may have choices, of which one is on. */

import { placeBeside } from "./place.js";
import { copyElement, part } from "./templates.js";

/** `keys`: the shortcut, as in `aria-keyshortcuts`; `isOn`: of a setting that the item switches. @typedef {{label: string, act: () => void, keys?: string, isOn?: boolean}} Item */

export class Menu {
  #box;
  #items;
  #choices;
  #keyWords;
  /** @type {HTMLElement | null} */
  #anchor = null;

  /** @param {HTMLElement} box a popover @param {(keys: string) => string} keyWords how a shortcut is shown */
  constructor(box, keyWords) {
    this.#box = box;
    this.#items = part(box, "items");
    this.#choices = part(box, "choices");
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
   * @param {Item[]} choices
   */
  open(anchor, name, items, choices = []) {
    if (items.length === 0) return;
    this.#anchor?.setAttribute("aria-expanded", "false");
    this.#anchor = anchor;
    this.#items.ariaLabel = name;
    this.#items.replaceChildren(...items.map((item) => this.#button(item)));
    this.#choices.hidden = choices.length === 0;
    this.#choices.replaceChildren(...choices.map((item) => this.#choice(item)));
    this.#box.showPopover();
    placeBeside(this.#box, anchor.getBoundingClientRect());
    this.#buttons[0]?.focus();
  }

  get #buttons() {
    return /** @type {HTMLElement[]} */ ([...this.#box.querySelectorAll("button")]);
  }

  /** The menu stays open, to show what is chosen. @param {Item} item */
  #choice(item) {
    const button = this.#button(item, true);
    button.role = "radio";
    button.addEventListener("click", () => {
      for (const other of this.#choices.children) other.ariaChecked = String(other === button);
    });
    return button;
  }

  /** @param {Item} item @param {boolean} [isChoice] */
  #button({ label, act, keys, isOn }, isChoice = false) {
    const button = copyElement("menu-item-template");
    part(button, "label").textContent = label;
    part(button, "keys").textContent = this.#keyWords(keys ?? "");
    if (isOn !== undefined) {
      button.role = "menuitemcheckbox";
      button.ariaChecked = String(isOn);
    }
    if (keys) button.setAttribute("aria-keyshortcuts", keys);
    button.addEventListener("click", () => {
      if (!isChoice) this.#box.hidePopover();
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
