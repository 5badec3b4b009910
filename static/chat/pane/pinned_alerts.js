/** <pinned-alerts>: alerts that stay over the log until this user says "Got it". */

import { copyElement, part } from "../dom/templates.js";
import { signature } from "../log/message.js";

/** @import {Pinned} from "../model/alerts.js" */

export class PinnedAlerts extends HTMLElement {
  /** @type {Map<string, HTMLElement>} */
  #shown = new Map();
  /** @type {(id: string) => void} */
  #gotIt = () => {};
  #leave = () => {};

  /**
   * @param {(id: string) => void} gotIt
   * @param {() => void} leave where the focus goes with the last one
   */
  configure(gotIt, leave) {
    this.#gotIt = gotIt;
    this.#leave = leave;
    this.addEventListener("keydown", (event) => {
      // A key that is held answers one alert, and not those that follow.
      if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault();
    });
  }

  /** Only what is new is inserted: what is moved loses the focus, and is read out again. @param {Pinned[]} alerts */
  showAlerts(alerts) {
    const focused = this.contains(document.activeElement) ? document.activeElement : null;
    const at = [...this.children].findIndex((child) => child.contains(focused));
    for (const [id, element] of this.#shown)
      if (!alerts.some((alert) => alert.id === id)) {
        element.remove();
        this.#shown.delete(id);
      }
    alerts.forEach((alert, i) => {
      const element = this.#shown.get(alert.id) ?? this.#addAlert(alert, i);
      setText(part(element, "text"), alert.text);
      setText(part(element, "by"), signature(alert));
    });
    if (focused && !focused.isConnected) this.#moveFocus(at);
  }

  /** @param {Pinned} alert @param {number} at */
  #addAlert({ id }, at) {
    const element = copyElement("pinned-template");
    element.tabIndex = -1;
    part(element, "got-it").addEventListener("click", () => this.#gotIt(id));
    this.#shown.set(id, element);
    this.insertBefore(element, this.children[at] ?? null);
    return element;
  }

  /** To the next alert and not to its button: another Enter would answer it unread. @param {number} at */
  #moveFocus(at) {
    const next = this.children[at] ?? this.lastElementChild;
    if (next instanceof HTMLElement) next.focus();
    else this.#leave();
  }
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
