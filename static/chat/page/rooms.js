/** Makes rooms, changes them, and opens direct rooms. The dialogs are loaded when they are first used. */

import { ask } from "../dom/ask.js";
import { part } from "../dom/templates.js";

/** @import {NewRoomDialog, RoomDialog} from "../lazy/room_dialogs.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Room} from "../model/protocol.js" */

const NOT_LOADED = "This dialog could not be loaded. Reload the page and try again.";

export class Rooms {
  #page;
  /** @type {Promise<{newRoom: NewRoomDialog, room: RoomDialog}> | null} */
  #loading = null;

  /** @param {{me: string, notices: Notices, openRoom: (room: Room) => void}} page */
  constructor(page) {
    this.#page = page;
    const button = document.querySelector("[data-part=new-room]");
    button?.addEventListener("click", () => void this.#with(({ newRoom }) => newRoom.open()));
  }

  /** Open the direct room of the user and another person. @type {(name: string) => Promise<void>} */
  openDirect = async (name) => {
    /** @type {Room | string} */
    const room = await ask("/direct/", { people: [name] });
    if (typeof room === "string") this.#page.notices.show(room);
    else this.#page.openRoom(room);
  };

  /** Take a user's account out of use. Their pages close by themselves. @type {(username: string) => Promise<void>} */
  deactivate = async (username) => {
    const answer = await ask("/people/deactivate/", { username });
    if (typeof answer === "string") this.#page.notices.show(answer);
  };

  /** Show a room's members, and what its managers may change. @param {Room} room */
  showSettings(room) {
    void this.#with((dialogs) => void dialogs.room.open(room));
  }

  /** @param {(dialogs: {newRoom: NewRoomDialog, room: RoomDialog}) => void} use */
  async #with(use) {
    this.#loading ??= this.#load();
    try {
      use(await this.#loading);
    } catch {
      this.#loading = null; // the next use tries again
      this.#page.notices.show(NOT_LOADED);
    }
  }

  async #load() {
    const { NewRoomDialog, RoomDialog } = await import("lazy/room_dialogs");
    const dialog = (/** @type {string} */ name) =>
      /** @type {HTMLDialogElement} */ (part(document, name));
    return {
      newRoom: new NewRoomDialog(dialog("new-room-dialog"), (room) => this.#page.openRoom(room)),
      room: new RoomDialog(dialog("room-dialog"), this.#page.me, this.#page.notices),
    };
  }
}
