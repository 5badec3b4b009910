/** The dialogs that make a room, and that change a room and its members. What is typed stays until it is saved. */

import { ask } from "../dom/ask.js";
import { part } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { memberItem, PeopleField } from "./people_field.js";
import { RoomBots } from "./room_bots.js";
import { RoomWebhooks } from "./room_webhooks.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {Room} from "../model/protocol.js" */

/** @typedef {{username: string, owner: boolean}} Member */
/** @typedef {{room: Room, members: Member[], manage: boolean, archived: boolean} | {left: true}} RoomMembers */

/** The form of a dialog that opens a room. What is typed stays until the room is there. */
class RoomForm {
  #dialog;
  #isBusy = false;
  #timesOpened = 0;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {() => Promise<Room | string>} request returns the room, or a sentence about what is wrong
   * @param {() => void} clear
   * @param {(room: Room, isFocused: boolean) => void} onmade
   */
  constructor(dialog, request, clear, onmade) {
    this.#dialog = dialog;
    part(dialog, "cancel").addEventListener("click", () => dialog.close());
    dialog.addEventListener("input", () => showTrouble(dialog, ""));
    part(dialog, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit(request, clear, onmade);
    });
  }

  /** @param {string} first the field that gets the focus */
  open(first) {
    this.#timesOpened += 1;
    showTrouble(this.#dialog, "");
    this.#dialog.showModal();
    input(this.#dialog, first).focus();
  }

  /**
   * @param {() => Promise<Room | string>} request
   * @param {() => void} clear
   * @param {(room: Room, isFocused: boolean) => void} onmade
   */
  async #submit(request, clear, onmade) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const opened = this.#timesOpened;
    const made = await request();
    this.#isBusy = false;
    // A user who closed the dialog during the request writes elsewhere, or opened it again for another room.
    const isSame = this.#timesOpened === opened;
    if (typeof made === "string") {
      if (isSame) showTrouble(this.#dialog, made);
      return;
    }
    const isWaiting = isSame && this.#dialog.open;
    if (isSame) {
      clear();
      this.#dialog.close();
    }
    onmade(made, isWaiting);
  }
}

export class NewRoomDialog {
  #dialog;
  #form;
  #people;

  /** @param {HTMLDialogElement} dialog @param {(room: Room, isFocused: boolean) => void} onmade */
  constructor(dialog, onmade) {
    this.#dialog = dialog;
    this.#people = new PeopleField(part(dialog, "people"));
    const [title, topic] = [input(dialog, "title"), input(dialog, "topic")];
    /** @type {() => Promise<Room | string>} */
    const request = () =>
      ask("/rooms/", {
        title: title.value,
        topic: topic.value,
        who: this.#who,
        people: this.#who === "members" ? this.#people.names : [],
      });
    const clear = () => {
      title.value = topic.value = "";
      this.#people.clear();
    };
    this.#form = new RoomForm(dialog, request, clear, onmade);
    dialog.addEventListener("change", () => this.#showPeople());
  }

  open() {
    this.#showPeople();
    this.#form.open("title");
  }

  get #who() {
    const chosen = this.#dialog.querySelector("input[name=who]:checked");
    return chosen instanceof HTMLInputElement ? chosen.value : "everybody";
  }

  #showPeople() {
    part(this.#dialog, "people").hidden = this.#who !== "members";
  }
}

/** The direct room with these people, or a sentence. @param {string[]} people @returns {Promise<Room | string>} */
export function askForDirect(people) {
  return ask("/direct/", { people });
}

/** Opens a direct room with a few people. */
export class DirectDialog {
  #form;

  /** @param {HTMLDialogElement} dialog @param {(room: Room, isFocused: boolean) => void} onopened */
  constructor(dialog, onopened) {
    const people = new PeopleField(part(dialog, "people"));
    part(dialog, "people").hidden = false;
    const request = async () =>
      people.names.length ? askForDirect(people.names) : gettext("Choose at least one person.");
    this.#form = new RoomForm(dialog, request, () => people.clear(), onopened);
  }

  open() {
    this.#form.open("person");
  }
}

export class RoomDialog {
  #dialog;
  #people;
  #bots;
  #webhooks;
  #room = "";
  #me;

  #notices;

  /** @param {HTMLDialogElement} dialog @param {{username: string}} me @param {Notices} notices */
  constructor(dialog, me, notices) {
    this.#dialog = dialog;
    this.#notices = notices;
    this.#me = me;
    this.#people = new PeopleField(part(dialog, "people"), (names) => void this.#add(names));
    /** @param {string} sentence */
    const show = (sentence) => showTrouble(dialog, sentence);
    this.#bots = new RoomBots(part(dialog, "bots-of"), show);
    this.#webhooks = new RoomWebhooks(part(dialog, "webhooks-of"), show);
    // However it is closed, no secret stays behind.
    dialog.addEventListener("close", () => {
      this.#bots.clear();
      this.#webhooks.clear();
    });
    part(dialog, "done").addEventListener("click", () => dialog.close());
    part(dialog, "leave").addEventListener("click", () => void this.#leave());
    part(dialog, "archive").addEventListener("click", () => void this.#archive());
    part(dialog, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save();
    });
  }

  /** @param {string} room @param {boolean} [isAdding] whether the box that adds people gets the focus */
  async open(room, isAdding) {
    this.#room = room;
    showTrouble(this.#dialog, "");
    this.#people.clear();
    const answer = await this.#ask("members/");
    if (answer === null || this.#dialog.open) return;
    // Without an answer the dialog would show, and change, the room that it was opened for before.
    if (typeof answer === "string") return this.#notices.show(answer);
    if ("left" in answer) return;
    this.#dialog.showModal();
    input(this.#dialog, "title").value = answer.room.title;
    input(this.#dialog, "topic").value = answer.room.topic ?? "";
    this.#show(answer);
    this.#bots.open(room, answer.manage);
    this.#webhooks.open(room, answer.manage);
    part(this.#dialog, isAdding ? "person" : answer.manage ? "title" : "done").focus();
  }

  /**
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<RoomMembers | string | null>} null: the dialog was opened for another room meanwhile
   */
  async #ask(path, body) {
    const room = this.#room;
    const answer = await ask(`/rooms/${room}/${path}`, body);
    return this.#room === room ? /** @type {RoomMembers | string} */ (answer) : null;
  }

  /** @param {Exclude<RoomMembers, {left: true}>} answer */
  #show({ room, members, manage, archived }) {
    const isOfMembers = room.kind === "members";
    part(this.#dialog, "heading").textContent = room.title;
    part(this.#dialog, "settings").hidden = !manage;
    part(this.#dialog, "archive").textContent = archived
      ? gettext("Open again")
      : gettext("Archive room");
    for (const name of ["archive", "save"]) part(this.#dialog, name).hidden = !manage;
    part(this.#dialog, "archive").dataset.archived = String(archived);
    for (const name of ["members-of", "people", "leave"])
      part(this.#dialog, name).hidden = !isOfMembers;
    part(this.#dialog, "members").replaceChildren(
      ...members.map(({ username, owner }) => {
        const isRemovable = manage && username !== this.#me.username;
        const remove = isRemovable ? () => void this.#remove(username) : null;
        return memberItem(username, owner ? gettext("owner") : "", remove);
      }),
    );
  }

  /** @param {string[]} names */
  async #add(names) {
    const answer = await this.#ask("members/", { add: names });
    if (typeof answer === "string") this.#people.putBack(names);
    this.#answered(answer);
  }

  /** @param {string} name */
  async #remove(name) {
    this.#answered(await this.#ask("members/", { remove: name }));
  }

  async #leave() {
    this.#answered(await this.#ask("members/", { leave: true }));
  }

  async #save() {
    const changes = {
      title: input(this.#dialog, "title").value,
      topic: input(this.#dialog, "topic").value,
    };
    const answer = await this.#ask("", changes);
    this.#closeIfDone(answer);
  }

  async #archive() {
    const archived = part(this.#dialog, "archive").dataset.archived !== "true";
    const answer = await this.#ask("", { archived });
    this.#closeIfDone(answer);
  }

  /** @param {RoomMembers | string | null} answer */
  #closeIfDone(answer) {
    if (typeof answer === "string") showTrouble(this.#dialog, answer);
    else if (answer !== null) this.#dialog.close();
  }

  /** @param {RoomMembers | string | null} answer */
  #answered(answer) {
    if (answer === null) return;
    if (typeof answer === "string") return showTrouble(this.#dialog, answer);
    showTrouble(this.#dialog, "");
    if ("left" in answer) this.#dialog.close();
    else this.#show(answer);
  }
}

/** @param {HTMLElement} dialog @param {string} sentence */
function showTrouble(dialog, sentence) {
  const trouble = part(dialog, "trouble");
  trouble.hidden = sentence === "";
  trouble.textContent = sentence;
}

/** @param {HTMLElement} dialog @param {string} name */
function input(dialog, name) {
  return /** @type {HTMLInputElement} */ (part(dialog, name));
}
