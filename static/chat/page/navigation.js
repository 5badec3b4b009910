/** Opens and closes rooms, and saves the open ones in the page's address and at the server. */

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
  /** The layout as the server knows it from this page. @type {Panes} */
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

  /** The panes open now were restored and not opened by the user, so they are no change to save. */
  layoutRestored() {
    this.#savedLayout = this.#panes.layout.panes;
  }

  /** Save what was changed while the connection was down. */
  connected() {
    this.#saveLayout();
  }

  /** The server closed this room, so this is no change to save. @param {string} id */
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

  /** The user asked for this room: open it if needed, and focus its composer. @param {string} id */
  focusRoom(id) {
    const room = this.#workspace.rooms.get(id);
    if (room && !this.#panes.get(id)) this.#openRoom(room);
    if (!this.#panes.get(id)) return; // the page is full
    this.#panes.scrollToPane(id);
    this.#panes.get(id)?.composer.focus();
  }

  /** The user made this room, or asked for a room that may be new. @param {Room} room */
  goToRoom(room) {
    if (!this.#panes.get(room.id)) this.#openRoom(room);
    this.#list.collapse();
    this.focusRoom(room.id);
  }

  /** Update the address at once, and save the layout for the user's other browsers after a short pause. */
  #updateAddress() {
    history.replaceState(null, "", this.#panes.layout.address);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#saveLayout(), LAYOUT_AFTER_MS);
  }

  /** Save only the changes, because another page may have saved panes that are not open here. */
  #saveLayout() {
    clearTimeout(this.#timer);
    const layout = this.#panes.layout.panes;
    const change = changeOf(this.#savedLayout, layout);
    if (change === null || this.#workspace.changeLayout(change)) this.#savedLayout = layout;
  }

  /** A click opens a room, and a second click closes it. On a phone the first may only bring it to the front. @param {string} id */
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
   * Open a room by its title.
   * @param {string} title
   * @returns {Promise<string>} a sentence if there is no such room
   */
  async #openByTitle(title) {
    const focused = document.activeElement;
    const room = await findRoom(title, this.#workspace.rooms.values());
    if (typeof room === "string") return room;
    // A user who moved the focus during the request keeps it, and the view does not change.
    const isWaiting = document.activeElement === focused;
    if (!this.#panes.get(room.id)) this.#openRoom(room, isWaiting);
    if (!isWaiting) return "";
    this.#list.collapse();
    this.focusRoom(room.id);
    return "";
  }
}
