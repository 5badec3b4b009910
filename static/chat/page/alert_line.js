/** Shows which rooms have an alert that the user has not confirmed: in the list, the title, the icon, and above the panes. */

import { setHidden } from "../dom/focus.js";
import { part, setLine } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { alertLineWords } from "../model/strings.js";

/** @import {Alerts} from "../model/alerts.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {ReadTracker} from "./read_tracker.js" */
/** @import {RoomList} from "./room_list.js" */

export class AlertLine {
  #line = part(document, "alert-line");
  #alerts;
  #page;
  /** The room of which the line speaks. */
  #room = "";
  #isHidden = false;

  /**
   * @param {Alerts} alerts
   * @param {{list: RoomList, readTracker: ReadTracker, rooms: Map<string, Room>, show: (room: string) => void}} page
   */
  constructor(alerts, page) {
    this.#alerts = alerts;
    this.#page = page;
    part(this.#line, "show").addEventListener("click", () => page.show(this.#room));
  }

  /** The alerts of a room changed. @param {string} room */
  showRoom(room) {
    this.#page.list.setAlert(room, this.#alerts.isWaiting(room));
    this.#show();
  }

  /** While the user is signed out, nothing of the rooms is shown. @param {boolean} isHidden */
  setHidden(isHidden) {
    this.#isHidden = isHidden;
    this.#show();
  }

  get #enterableRooms() {
    if (this.#isHidden) return [];
    return this.#alerts.waitingRooms.filter((room) => this.#page.rooms.has(room));
  }

  #show() {
    const rooms = this.#enterableRooms;
    this.#page.readTracker.showHasAlert(rooms.length > 0);
    // It goes on about the same room, so that a click never leads to another one.
    if (!rooms.includes(this.#room)) this.#room = rooms[0] ?? "";
    const title = this.#page.rooms.get(this.#room)?.title ?? "";
    const text = this.#alerts.alertsOf(this.#room).at(-1)?.text ?? "";
    setLine(part(this.#line, "sentence"), alertLineWords(title, text, rooms.length - 1));
    part(this.#line, "show").setAttribute(
      "aria-label",
      gettext("Show the alert in {room}", { room: title }),
    );
    setHidden(this.#line, rooms.length === 0);
  }
}
