/** Shows staff who has not confirmed an alert: a list in the alert's pane, which goes with the pane. */

import { ask } from "../dom/ask.js";
import { placeBeside } from "../dom/place.js";
import { gettext } from "../model/language.js";

/** @typedef {{people: {username: string, name: string}[], more: boolean}} Unconfirmed */

const NAME = gettext("Not confirmed yet");

/** @param {(HTMLElement & {room: string}) | undefined} pane of the alert @param {number} seq of the alert */
export async function showUnconfirmed(pane, seq) {
  if (!pane) return;
  const list = document.createElement("ul");
  const status = document.createElement("p");
  const box = createBox(list, status);
  pane.append(box);
  box.showPopover();
  box.focus();
  placeBeside(box, pane.getBoundingClientRect());
  /** @type {Unconfirmed | string} */
  const answer = await ask(`/rooms/${pane.room}/alerts/${seq}/unconfirmed/`);
  if (typeof answer === "string") {
    status.textContent = answer;
    return;
  }
  list.replaceChildren(...answer.people.map(itemOf));
  status.textContent =
    answer.people.length === 0
      ? gettext("All have confirmed.")
      : answer.more
        ? gettext("And more.")
        : "";
  placeBeside(box, pane.getBoundingClientRect());
}

/** @param {HTMLElement} list @param {HTMLElement} status */
function createBox(list, status) {
  const box = document.createElement("div");
  box.className = "unconfirmed";
  box.popover = "auto";
  box.role = "dialog";
  box.ariaLabel = NAME;
  box.tabIndex = -1;
  const heading = document.createElement("h2");
  heading.textContent = NAME;
  status.role = "status";
  status.textContent = gettext("Loading…");
  box.append(heading, list, status);
  const before = document.activeElement;
  box.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") return;
    const hadFocus = box.contains(document.activeElement);
    box.remove();
    if (hadFocus && before instanceof HTMLElement) before.focus({ preventScroll: true });
  });
  return box;
}

/** @param {{username: string, name: string}} person */
function itemOf({ username, name }) {
  const item = document.createElement("li");
  const shown = document.createElement("bdi");
  shown.textContent = name || username;
  shown.title = username;
  item.append(shown);
  return item;
}
