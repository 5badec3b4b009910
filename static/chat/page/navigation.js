/** Opens and closes rooms, and keeps in the address, and at the server, which are open. */

import { findRoom } from "../model/find_room.js";
import { changeOf } from "../model/layout.js";

/** @import {Panes} from "../model/layout.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {Workspace} from "../model/workspace.js" */

const LAYOUT_AFTER_MS = 400;

export class Navigation {
  #panes;
  #workspace;
  #list;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The layout up to which the server knows what was changed here. @type {Panes} */
  #told = { order: [], wide: null };

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, list: RoomList}} page
   */
  constructor(panes, { workspace, list }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#list = list;
    panes.onarranged = () => this.#keepAddress();
    list.begin(
      (room) => this.#toggle(room),
      (title) => this.#openByName(title),
    );
    addEventListener("pagehide", () => this.#tell());
  }

  /** What is open now was not opened by the user: nothing of it is told. */
  begin() {
    this.#told = this.#panes.layout.panes;
  }

  /** What was changed while the connection was away is told now. */
  connected() {
    this.#tell();
  }

  /** The server closed this room: it knows. @param {string} id */
  closed(id) {
    const { order, wide } = this.#told;
    this.#told = { order: order.filter((room) => room !== id), wide: wide === id ? null : wide };
    this.#keepAddress();
  }

  /** @param {string} id */
  close(id) {
    this.#workspace.closePane(id);
    this.#keepAddress();
  }

  /** The user asked for this room: open or not, its composer gets the keys. @param {string} id */
  turnTo(id) {
    const room = this.#workspace.rooms.get(id);
    if (room && !this.#panes.get(id)) this.#open(room);
    if (!this.#panes.get(id)) return; // the page is full
    this.#panes.show(id);
    this.#panes.get(id)?.focusComposer();
  }

  /** In the address at once, and for this user's other browsers when the hand rests. */
  #keepAddress() {
    history.replaceState(null, "", this.#panes.layout.address);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), LAYOUT_AFTER_MS);
  }

  /** What changed, and not the whole: another page may have saved panes that are not here. */
  #tell() {
    clearTimeout(this.#timer);
    const now = this.#panes.layout.panes;
    const change = changeOf(this.#told, now);
    if (change === null || this.#workspace.changeLayout(change)) this.#told = now;
  }

  /** A click opens a room, another closes it; on a phone the first one may only bring it to the front. @param {string} id */
  #toggle(id) {
    const room = this.#workspace.rooms.get(id);
    if (room === undefined) return;
    if (!this.#panes.get(id)) this.#open(room);
    else if (this.#panes.isPhone && this.#panes.seen !== id) this.#panes.see(id);
    else this.close(id);
  }

  /** @param {Room} room @param {boolean} isByUser */
  #open(room, isByUser = true) {
    this.#workspace.openPane(room, isByUser);
    this.#keepAddress();
  }

  /**
   * Open a room by its name.
   * @param {string} title
   * @returns {Promise<string>} a sentence if there is none
   */
  async #openByName(title) {
    const asked = document.activeElement;
    const room = await findRoom(title, this.#workspace.rooms.values());
    if (typeof room === "string") return room;
    // Who went on elsewhere while the server was asked keeps the keys, and what is in view.
    const isWaiting = document.activeElement === asked;
    if (!this.#panes.get(room.id)) this.#open(room, isWaiting);
    if (!isWaiting) return "";
    this.#list.collapse();
    this.turnTo(room.id);
    return "";
  }
}
