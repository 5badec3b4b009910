/** The button "Notifications", and what the page knows that its notifications need. They are loaded when the user turns them on. */

import { NOT_LOADED } from "../model/strings.js";

/** @import {NotificationActions, Notifications} from "../lazy/notifications.js" */

export class Notifier {
  #button;
  #actions;
  /** The notifications, once they are loaded. @type {Notifications | undefined} */
  loaded;

  /** @param {HTMLElement} button @param {NotificationActions} actions */
  constructor(button, actions) {
    this.#button = button;
    this.#actions = actions;
    button.addEventListener("click", () => this.#load((notifications) => notifications.act()));
    // A notification of the service worker was clicked. The browser keeps what comes before the page's scripts run.
    navigator.serviceWorker?.addEventListener("message", ({ data }) =>
      this.#load((notifications) => notifications.clicked(data)),
    );
    // At once if they are on, and when another tab turns them on.
    const { preferences } = actions;
    preferences.follow("notifies", () => {
      if (preferences.get("notifies")) this.#load();
    });
  }

  /** @param {(notifications: Notifications) => void} [act] */
  async #load(act) {
    try {
      const { Notifications } = await import("lazy/notifications");
      this.loaded ??= new Notifications(this.#button, this.#actions);
    } catch {
      if (act) this.#actions.notices.show(NOT_LOADED);
      return;
    }
    act?.(this.loaded);
  }
}
