/** <pinned-alerts>: alerts that stay over the log until this user says "Got it". */

import { signature } from "./message.js";
import { copyElement, part } from "./templates.js";

/** @import {Pinned} from "./alerts.js" */

export class PinnedAlerts extends HTMLElement {
  /** @type {(at: string) => void} */
  #gotIt = () => {};
  #leave = () => {};

  /**
   * @param {(at: string) => void} gotIt
   * @param {() => void} leave where the focus goes with the last one
   */
  begin(gotIt, leave) {
    this.#gotIt = gotIt;
    this.#leave = leave;
  }

  /** @param {Pinned[]} alerts */
  show(alerts) {
    const shown = new Map(
      [...this.children].map((child) => [child.getAttribute("data-id"), child]),
    );
    const elements = alerts.map(
      (alert) => shown.get(JSON.stringify(alert)) ?? this.#element(alert),
    );
    const hadFocus = this.contains(document.activeElement);
    this.replaceChildren(...elements);
    if (!hadFocus || this.contains(document.activeElement)) return;
    const next = this.querySelector("button");
    if (next) next.focus();
    else this.#leave();
  }

  /** @param {Pinned} alert */
  #element(alert) {
    const element = copyElement("pinned-template");
    element.dataset.id = JSON.stringify(alert);
    part(element, "text").textContent = alert.text;
    part(element, "by").textContent = signature(alert);
    part(element, "got-it").addEventListener("click", () => this.#gotIt(alert.at));
    return element;
  }
}
