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
  #savedLayout = { order: [], wide: null };

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, list: RoomList}} page
   */
  constructor(panes, { workspace, list }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#list = list;
    panes.onarranged = () => this.#updateAddress();
    list.configure(
      (room) => this.#toggleRoom(room),
      (title) => this.#openByTitle(title),
    );
    addEventListener("pagehide", () => this.#saveLayout());
  }

  /** What is open now was not opened by the user: nothing of it is told. */
  layoutRestored() {
    this.#savedLayout = this.#panes.layout.panes;
  }

  /** What was changed while the connection was away is told now. */
  connected() {
    this.#saveLayout();
  }

  /** The server closed this room: it knows. @param {string} id */
  roomClosed(id) {
    const { order, wide } = this.#savedLayout;
    this.#savedLayout = {
      order: order.filter((room) => room !== id),
      wide: wide === id ? null : wide,
    };
    this.#updateAddress();
  }

  /** @param {string} id */
  closeRoom(id) {
    this.#workspace.closePane(id);
    this.#updateAddress();
  }

  /** The user asked for this room: open or not, its composer gets the keys. @param {string} id */
  focusRoom(id) {
    const room = this.#workspace.rooms.get(id);
    if (room && !this.#panes.get(id)) this.#openRoom(room);
    if (!this.#panes.get(id)) return; // the page is full
    this.#panes.scrollToPane(id);
    this.#panes.get(id)?.focusComposer();
  }

  /** In the address at once, and for this user's other browsers when the hand rests. */
  #updateAddress() {
    history.replaceState(null, "", this.#panes.layout.address);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#saveLayout(), LAYOUT_AFTER_MS);
  }

  /** What changed, and not the whole: another page may have saved panes that are not here. */
  #saveLayout() {
    clearTimeout(this.#timer);
    const now = this.#panes.layout.panes;
    const change = changeOf(this.#savedLayout, now);
    if (change === null || this.#workspace.changeLayout(change)) this.#savedLayout = now;
  }

  /** A click opens a room, another closes it; on a phone the first one may only bring it to the front. @param {string} id */
  #toggleRoom(id) {
    const room = this.#workspace.rooms.get(id);
    if (room === undefined) return;
    if (!this.#panes.get(id)) this.#openRoom(room);
    else if (this.#panes.isPhone && this.#panes.seen !== id) this.#panes.setSeen(id);
    else this.closeRoom(id);
  }

  /** @param {Room} room @param {boolean} isByUser */
  #openRoom(room, isByUser = true) {
    this.#workspace.openPane(room, isByUser);
    this.#updateAddress();
  }

  /**
   * Open a room by its name.
   * @param {string} title
   * @returns {Promise<string>} a sentence if there is none
   */
  async #openByTitle(title) {
    const asked = document.activeElement;
    const room = await findRoom(title, this.#workspace.rooms.values());
    if (typeof room === "string") return room;
    // Who went on elsewhere while the server was asked keeps the keys, and what is in view.
    const isWaiting = document.activeElement === asked;
    if (!this.#panes.get(room.id)) this.#openRoom(room, isWaiting);
    if (!isWaiting) return "";
    this.#list.collapse();
    this.focusRoom(room.id);
    return "";
  }
}
