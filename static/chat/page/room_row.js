/** A room's row in the list: a button that goes to the room, and beside it a button that opens or closes its pane. */

import { copyElement, part, setHue, setLine } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { countsWords, toggleWords, unreadWords, unsentWords } from "../model/strings.js";

/** @import {Room} from "../model/protocol.js" */
/** @import {Counts} from "../model/strings.js" */
/** @import {Level} from "../model/unread.js" */

/** What counts at the room's level, and whether there is anything unread. @typedef {Counts & {level: Level, isAnyUnread: boolean}} ShownCounts */

/** @type {ShownCounts} */
const NOTHING = { unread: 0, mentions: 0, level: "all", isAnyUnread: false };

export class RoomRow {
  button;
  toggle;
  item;
  counts = NOTHING;
  isOpen = false;
  #isAway = false;

  /** @param {HTMLElement} item */
  constructor(item) {
    this.item = item;
    this.button = part(item, "button");
    this.toggle = part(item, "toggle");
    this.isOpen = this.toggle.ariaPressed === "true";
    setHue(item, this.room);
  }

  get room() {
    return this.button.dataset.room ?? "";
  }

  get isDirect() {
    return this.button.dataset.kind === "direct";
  }

  get hasAlert() {
    return !part(this.button, "alert").hidden;
  }

  get title() {
    return part(this.button, "title").textContent ?? "";
  }

  /** @param {Room} room @returns {boolean} whether the title changed */
  showRoom({ title, staff_only }) {
    const isRenamed = this.title !== title;
    if (!isRenamed && this.button.dataset.staff === String(staff_only)) return false;
    setLine(part(this.button, "title"), title);
    this.button.dataset.short = [...title].slice(0, 2).join("");
    part(this.button, "staff").hidden = !staff_only;
    this.button.dataset.staff = String(staff_only);
    this.#describe();
    this.#nameToggle();
    return isRenamed;
  }

  /** Show whether the room has a pane. @param {boolean} isOpen */
  showOpen(isOpen) {
    this.isOpen = isOpen;
    this.#isAway &&= isOpen;
    this.item.classList.toggle("open", isOpen);
    this.item.classList.toggle("away", this.#isAway);
    this.toggle.ariaPressed = String(isOpen);
    if (this.button.ariaPressed !== null) this.button.ariaPressed = String(isOpen);
    this.#nameToggle();
    this.#describe();
  }

  /** Show whether the pane is out of view. @param {boolean} isAway */
  showAway(isAway) {
    this.#isAway = isAway;
    this.item.classList.toggle("away", isAway);
    this.#describe();
  }

  /** Show whether the room's pane has or had the focus. @param {boolean} isSeen */
  showSeen(isSeen) {
    this.button.classList.toggle("seen", isSeen);
    this.button.ariaCurrent = isSeen ? "true" : null;
  }

  /** Whether the room's own button opens and closes, as in the original. @param {boolean} isToggle */
  showAsToggle(isToggle) {
    this.button.ariaPressed = isToggle ? String(this.isOpen) : null;
    this.toggle.hidden = isToggle;
  }

  /** Place the row among the tabs of a phone. @param {number} place 0: by title */
  setTabPlace(place) {
    this.item.style.setProperty("--tab", String(place));
  }

  /** Open or closed, the tab stays where it is. */
  keepTabPlace() {
    if (this.item.style.getPropertyValue("--tab") === "") this.setTabPlace(0);
  }

  /** @param {ShownCounts} counts */
  showCounts(counts) {
    if (JSON.stringify(counts) === JSON.stringify(this.counts)) return;
    this.counts = counts;
    const badge = part(this.button, "unread");
    badge.hidden = !counts.isAnyUnread;
    badge.textContent = countsWords(counts);
    badge.classList.toggle("for-me", counts.mentions > 0);
    // What does not count is a dot.
    badge.classList.toggle("dot", counts.unread === 0);
    this.item.classList.toggle("quiet", counts.level === "quiet");
    this.#describe();
  }

  /** @param {boolean} hasAlert that the user has not confirmed */
  showAlert(hasAlert) {
    const mark = part(this.button, "alert");
    mark.hidden = !hasAlert;
    mark.textContent = hasAlert ? gettext("Alert") : "";
    this.#describe();
  }

  /** Show that messages wait for a room that is not open. @param {number} count */
  showUnsentCount(count) {
    this.button.querySelector(".not-sent")?.remove();
    if (count === 0) return;
    const mark = document.createElement("span");
    mark.className = "not-sent";
    mark.textContent = unsentWords(count);
    this.button.append(" ", mark);
  }

  #nameToggle() {
    this.toggle.ariaLabel = toggleWords(this.title, this.isOpen);
  }

  /** Describe the room: its unread messages, whether it is for staff, and whether its pane is out of view. */
  #describe() {
    const parts = [
      this.hasAlert ? gettext("Alert") : "",
      this.counts.level === "quiet" ? gettext("Quiet") : "",
      unreadWords(this.counts) || (this.counts.isAnyUnread ? gettext("Unread") : ""),
      this.button.dataset.staff === "true" ? gettext("Staff only") : "",
      this.#isAway ? gettext("Out of view") : "",
    ];
    const description = parts.filter(Boolean).join(", ");
    if (description) this.button.setAttribute("aria-description", description);
    else this.button.removeAttribute("aria-description");
  }
}

/** Create the row of a room that the server's page did not have. @param {Room} room */
export function createRow(room) {
  const item = copyElement("room-template");
  part(item, "button").dataset.room = room.id;
  if (room.kind) part(item, "button").dataset.kind = room.kind;
  const row = new RoomRow(item);
  row.showRoom(room);
  return row;
}
