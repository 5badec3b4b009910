/** <pinned-alerts>: alerts that stay above the log until this user dismisses them with "Got it". */

import { copyElement, part, setText, showName } from "../dom/templates.js";
import { signature } from "../log/message.js";

/** @import {Pinned} from "../model/alerts.js" */

export class PinnedAlerts extends HTMLElement {
  /** @type {Map<string, HTMLElement>} */
  #shown = new Map();
  /** @type {(id: string) => void} */
  #dismiss = () => {};
  #moveFocusOut = () => {};

  /**
   * @param {(id: string) => void} dismiss
   * @param {() => void} moveFocusOut called when the last alert had the focus
   */
  configure(dismiss, moveFocusOut) {
    this.#dismiss = dismiss;
    this.#moveFocusOut = moveFocusOut;
    this.addEventListener("keydown", (event) => {
      // A key that is held down dismisses one alert, and not the next ones.
      if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault();
    });
  }

  /** Insert only new alerts, because a moved element loses the focus and is read out again. @param {Pinned[]} alerts */
  showAlerts(alerts) {
    const focused = this.contains(document.activeElement) ? document.activeElement : null;
    const index = [...this.children].findIndex((child) => child.contains(focused));
    for (const [id, element] of this.#shown)
      if (!alerts.some((alert) => alert.id === id)) {
        element.remove();
        this.#shown.delete(id);
      }
    alerts.forEach((alert, i) => {
      const element = this.#shown.get(alert.id) ?? this.#addAlert(alert, i);
      setText(part(element, "text"), alert.text);
      const by = part(element, "by");
      showName(by, () => setText(by, signature(alert)));
    });
    if (focused && !focused.isConnected) this.#moveFocus(index);
  }

  /** @param {Pinned} alert @param {number} at */
  #addAlert({ id }, at) {
    const element = copyElement("pinned-template");
    element.tabIndex = -1;
    part(element, "got-it").addEventListener("click", () => this.#dismiss(id));
    this.#shown.set(id, element);
    this.insertBefore(element, this.children[at] ?? null);
    return element;
  }

  /** Focus the next alert and not its button, where another Enter would dismiss it unread. @param {number} at */
  #moveFocus(at) {
    const next = this.children[at] ?? this.lastElementChild;
    if (next instanceof HTMLElement) next.focus();
    else this.#moveFocusOut();
  }
}
