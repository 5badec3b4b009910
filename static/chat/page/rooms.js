/** Makes rooms, changes them, and opens direct rooms. The dialogs are loaded when they are first used. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {Room} from "../model/protocol.js" */

export class Rooms {
  #page;
  #dialogs;

  /** @param {{me: {username: string}, notices: Notices, notLoaded: () => void, openRoom: (room: Room, isFocused?: boolean) => void}} page */
  constructor(page) {
    this.#page = page;
    this.#dialogs = new LazyPart(() => this.#load(), page.notLoaded);
    for (const name of /** @type {const} */ (["new-room", "new-direct"]))
      document
        .querySelector(`[data-part=${name}]`)
        ?.addEventListener("click", () => this.#dialogs.use((dialogs) => dialogs[name].open()));
  }

  /** Open the direct room of the user and another person. @type {(name: string) => Promise<void>} */
  openDirect = async (name) => {
    const { activeElement, body } = document;
    const dialogs = await this.#dialogs.load().catch(this.#page.notLoaded);
    const room = await dialogs?.askForDirect([name]);
    if (!room) return;
    // A user who moved the focus during the request keeps it. It is nowhere when its element was hidden.
    const isFocused = [activeElement, body].includes(document.activeElement);
    if (typeof room === "string") this.#page.notices.show(room);
    else this.#page.openRoom(room, isFocused);
  };

  /** Show a room's members, and what its managers may change. @param {string} room @param {boolean} [isAdding] */
  showSettings(room, isAdding) {
    this.#dialogs.use((dialogs) => void dialogs.room.open(room, isAdding));
  }

  async #load() {
    const { askForDirect, DirectDialog, NewRoomDialog, RoomDialog } = await import(
      "lazy/room_dialogs"
    );
    const dialog = (/** @type {string} */ name) =>
      /** @type {HTMLDialogElement} */ (part(document, name));
    return {
      askForDirect,
      "new-room": new NewRoomDialog(dialog("new-room-dialog"), this.#page.openRoom),
      "new-direct": new DirectDialog(dialog("direct-dialog"), this.#page.openRoom),
      room: new RoomDialog(dialog("room-dialog"), this.#page.me, this.#page.notices),
    };
  }
}
