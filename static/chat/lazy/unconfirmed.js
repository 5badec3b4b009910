/** Shows who has confirmed an alert, and staff also who has not: a list in the alert's pane, which goes with the pane. */

import { ask } from "../dom/ask.js";
import { placeBeside } from "../dom/place.js";
import { setText, showName } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { authorWords } from "../model/strings.js";

/** @import {Person} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */

/** What is needed of the alert's pane. @typedef {HTMLElement & {room: string, list: {elementOf: (seq: number) => HTMLElement | undefined}}} Pane */
/** @typedef {{people: {username: string, name: string}[], more: boolean}} Unconfirmed */

/** @param {Pane | undefined} pane of the alert @param {Message} alert @param {boolean} confirmed whether to list those who have confirmed it */
export function showWho(pane, alert, confirmed) {
  if (!pane) return;
  if (confirmed) showConfirmed(pane, alert);
  else void showUnconfirmed(pane, alert.seq);
}

/** @param {Pane} pane of the alert @param {number} seq of the alert */
async function showUnconfirmed(pane, seq) {
  const { list, status, place } = showBox(pane, seq, gettext("Not confirmed yet"));
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
  place();
}

/** The alert's own line names only the first of them. @param {Pane} pane of the alert @param {Message} alert */
function showConfirmed(pane, { seq, confirmations: { count, users } }) {
  const { list, status, place } = showBox(pane, seq, gettext("Confirmed"));
  list.replaceChildren(...users.map(confirmedItem));
  status.textContent = count > users.length ? gettext("And more.") : "";
  place();
}

/** @param {Pane} pane @param {number} seq of the alert @param {string} name */
function showBox(pane, seq, name) {
  const list = document.createElement("ul");
  const status = document.createElement("p");
  const box = createBox(list, status, name);
  pane.append(box);
  box.showPopover();
  box.focus();
  // The alert may have left the window of messages that the page keeps.
  const place = () => placeBeside(box, (pane.list.elementOf(seq) ?? pane).getBoundingClientRect());
  place();
  return { list, status, place };
}

/** @param {HTMLElement} list @param {HTMLElement} status @param {string} name */
function createBox(list, status, name) {
  const box = document.createElement("div");
  box.className = "unconfirmed";
  box.popover = "auto";
  box.role = "dialog";
  box.ariaLabel = name;
  box.tabIndex = -1;
  const heading = document.createElement("h2");
  heading.textContent = name;
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

/** @param {Person} person */
function confirmedItem(person) {
  const item = itemOf({ username: person.username, name: "" });
  const shown = /** @type {HTMLElement} */ (item.firstElementChild);
  showName(shown, () => setText(shown, authorWords(person)));
  return item;
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
