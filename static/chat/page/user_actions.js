/** What the user does, at a pane, by menu or by key, and which part of the page it is that does it. */

import { Menu } from "../dom/menu.js";
import { part } from "../dom/templates.js";
import { DayDialog } from "./day_dialog.js";
import { Jumps } from "./jumps.js";
import { MessageActs } from "./message_acts.js";
import { Navigation } from "./navigation.js";
import { paneItems } from "./pane_menu.js";
import { chord, isSelectingText, NEXT_UNREAD, PREVIOUS_UNREAD } from "./shortcuts.js";

/** @import {Alerts} from "../model/alerts.js" */
/** @import {Drafts} from "../model/drafts.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {ReadTracker} from "./read_tracker.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {Wishes} from "../pane/room_pane.js" */
/** @import {Unread} from "../model/unread.js" */
/** @import {Workspace} from "../model/workspace.js" */

/** What is kept of a user. @typedef {{outbox: Outbox, drafts: Drafts, alerts: Alerts, unread: Unread}} Kept */

export class UserActions {
  #workspace;
  #panes;
  #list;
  #reading;
  #kept;
  #menu = new Menu(part(document, "menu"));
  #doors;
  #acts;
  #places;

  /**
   * @param {Workspace} workspace
   * @param {{panes: PaneRow, list: RoomList, notices: Notices, reading: ReadTracker, user: {id: number, staff: boolean}, kept: Kept}} page
   */
  constructor(workspace, { panes, list, notices, reading, user, kept }) {
    this.#workspace = workspace;
    this.#panes = panes;
    this.#list = list;
    this.#reading = reading;
    this.#kept = kept;
    this.#doors = new Navigation(panes, { workspace, list });
    this.#acts = new MessageActs(panes, { workspace, reading, user, drafts: kept.drafts });
    this.#places = new Jumps(panes, {
      workspace,
      dialog: new DayDialog(part(document, "day-dialog")),
      notices,
      readOf: (room) => kept.unread.readOf(room),
    });
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** @param {string} room */
  turnTo(room) {
    this.#doors.turnTo(room);
  }

  /** @param {string} room */
  toNew(room) {
    this.#places.toNew(room);
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  goTo(room, seq) {
    this.#reading.goesElsewhere(room);
    this.#panes.show(room);
    this.#places.toMessage(room, seq);
  }

  /** The panes of the address are open. */
  begin() {
    this.#doors.begin();
  }

  connected() {
    this.#doors.connected();
  }

  /** The server closed a room. @param {string} room */
  closed(room) {
    this.#doors.closed(room);
  }

  /** What a pane can ask for. @param {string} id @returns {Wishes} */
  wishesOf(id) {
    const { outbox, drafts, alerts } = this.#kept;
    return {
      close: () => {
        this.#doors.close(id);
        this.#list.focusRoom(id);
      },
      ask: (way) => this.#workspace.ask(id, way),
      keepOnly: (first, last) => this.#workspace.keepOnly(id, first, last),
      toNew: () => this.#places.toNew(id),
      toNewest: () => this.#places.toNewest(id),
      look: () => this.#reading.lookSoon(),
      scrolled: () => this.#places.scrolled(id),
      gotIt: (alert) => alerts.gotIt(id, alert),
      menu: (button) => this.#menu.open(button, this.#titleOf(id), this.#paneItems(id)),
      act: (button, message) => this.#menu.open(button, "Message", this.#acts.items(id, message)),
      edit: (message) => this.#acts.edit(id, message),
      undo: (message) => this.#acts.undo(id, message),
      draft: (text, draftId) => drafts.keep(id, text, { title: this.#titleOf(id), id: draftId }),
      edits: () => drafts.edits(id),
      keepEdit: (text, edit) => drafts.keep(id, text, { title: this.#titleOf(id), edit }),
      dropEdit: (seq) => drafts.dropEdit(id, seq),
      saveEdit: (seq, text) => this.#acts.saveEdit(id, seq, text),
      send: (text) => this.#send(id, text),
      retry: (clientId) => outbox.retry(clientId),
      restore: (clientId) => this.#restore(id, clientId),
      discard: (clientId) => outbox.discard(clientId),
    };
  }

  /** @param {string} id @param {string} text */
  #send(id, text) {
    const pane = this.#panes.get(id);
    if (!pane) return;
    this.#reading.wrote(pane);
    pane.showTrouble("");
    // Asked for before the text goes, so that the text is posted into what is shown then.
    this.#places.toNewest(id);
    const { outbox, drafts } = this.#kept;
    outbox.add(id, text, { client_id: drafts.idOf(id, text), title: this.#titleOf(id) });
    drafts.sent(id);
  }

  /** Put a text that was not sent back into the box: it is there before it leaves the outbox. @param {string} id @param {string} clientId */
  #restore(id, clientId) {
    const { outbox } = this.#kept;
    const entry = outbox.of(id).find(({ client_id }) => client_id === clientId);
    if (entry === undefined) return;
    this.#panes.get(id)?.composer.putBack(entry.text, clientId);
    outbox.discard(clientId);
  }

  /** @param {string} id */
  #paneItems(id) {
    return paneItems(this.#panes, id, {
      reading: this.#reading,
      toDay: () => this.#places.toDay(id, this.#titleOf(id)),
    });
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace.rooms.get(id)?.title ?? "";
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const keys = chord(event, isSelectingText(event.target, navigator.platform));
    const room = this.#panes.focused?.room;
    const items = room ? this.#paneItems(room) : [];
    if (keys === NEXT_UNREAD) this.#reading.next(1);
    else if (keys === PREVIOUS_UNREAD) this.#reading.next(-1);
    else if (items.some((item) => item.keys === keys))
      items.find((item) => item.keys === keys)?.act();
    else return;
    event.preventDefault();
  }
}
