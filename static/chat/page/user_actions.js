/** Dispatches what the user does, in a pane, by menu or by key, to the part of the page that does it. */

import { Menu } from "../dom/menu.js";
import { printOnly } from "../dom/print.js";
import { part } from "../dom/templates.js";
import { Choices } from "./choices.js";
import { DayDialog } from "./day_dialog.js";
import { Jumps } from "./jumps.js";
import { MessageActions } from "./message_actions.js";
import { openMentionsAtClick } from "./my_mentions.js";
import { Navigation } from "./navigation.js";
import { paneItems } from "./pane_menu.js";
import { chord, isSelectingText, NEXT_UNREAD, PREVIOUS_UNREAD } from "./shortcuts.js";
import { openAtClick } from "./user_menu.js";

/** @import {Alerts} from "../model/alerts.js" */
/** @import {EmojiSource} from "./emoji_source.js" */
/** @import {Drafts} from "../model/drafts.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {ReadTracker} from "./read_tracker.js" */
/** @import {Preferences} from "../model/preferences.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {PaneActions} from "../pane/room_pane.js" */
/** @import {Rooms} from "./rooms.js" */
/** @import {Unread} from "../model/unread.js" */
/** @import {Workspace} from "../model/workspace.js" */

/** What the browser keeps of a user. @typedef {{outbox: Outbox, drafts: Drafts, alerts: Alerts, preferences: Preferences, unread: Unread}} UserData */

export class UserActions {
  #workspace;
  #panes;
  #list;
  #readTracker;
  #userData;
  #emoji;
  #choices;
  #menu = new Menu(part(document, "menu"));
  #messageActions;
  #rooms;
  #isStaff;
  navigation;
  jumps;

  /**
   * @param {Workspace} workspace
   * @param {{panes: PaneRow, list: RoomList, rooms: Rooms, notices: Notices, readTracker: ReadTracker, user: {id: number, staff: boolean, username: string}, userData: UserData, emoji: EmojiSource}} page
   */
  constructor(workspace, { panes, list, rooms, notices, readTracker, user, userData, emoji }) {
    this.#workspace = workspace;
    this.#panes = panes;
    this.#list = list;
    this.#readTracker = readTracker;
    this.#userData = userData;
    this.#emoji = emoji;
    this.#choices = new Choices(panes, { workspace, emoji, me: user.username });
    this.#rooms = rooms;
    this.#isStaff = user.staff;
    this.navigation = new Navigation(panes, { workspace, list });
    this.#messageActions = new MessageActions(panes, {
      workspace,
      readTracker,
      user,
      drafts: userData.drafts,
    });
    this.jumps = new Jumps(panes, {
      workspace,
      dialog: new DayDialog(part(document, "day-dialog")),
      notices,
      readOf: (room) => userData.unread.readOf(room),
    });
    const source = {
      load: (/** @type {number | undefined} */ before) => workspace.findMentions(before),
      titleOf: (/** @type {string} */ room) => this.#titleOf(room),
      open: (/** @type {string} */ room, /** @type {number} */ seq) => {
        list.collapse();
        this.navigation.focusRoom(room);
        this.jumpToMessage(room, seq);
      },
    };
    openMentionsAtClick(part(document, "mentions"), source, notices);
    openAtClick(part(document, "my-menu"), this.#menu, userData.preferences);
    document.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  jumpToMessage(room, seq) {
    this.#readTracker.skipUnread(room);
    this.#panes.scrollToPane(room);
    this.jumps.jumpToMessage(room, seq);
  }

  /** What a pane can do. @param {string} id @returns {PaneActions} */
  actionsFor(id) {
    const { outbox, drafts, alerts } = this.#userData;
    return {
      closePane: () => {
        this.navigation.closeRoom(id);
        this.#list.focusRoom(id);
      },
      loadHistory: (way) => this.#workspace.requestHistory(id, way),
      trimTo: (first, last) => this.#workspace.trimTo(id, first, last),
      jumpToNew: () => this.jumps.jumpToNew(id),
      jumpToNewest: () => this.jumps.jumpToNewest(id),
      openDirect: (name) => void this.#rooms.openDirect(name),
      checkRead: () => this.#readTracker.checkSoon(),
      cancelWaitingJump: () => this.jumps.cancelWaitingJump(id),
      dismissAlert: (alert) => alerts.gotIt(id, alert),
      openMenu: (button) => this.#menu.open(button, this.#titleOf(id), this.#paneItems(id)),
      openMessageMenu: (button, message) =>
        this.#menu.open(button, "Message", this.#messageActions.menuItems(id, message)),
      editMessage: (message) => this.#messageActions.editMessage(id, message),
      undoMessage: (message) => this.#messageActions.undoMessage(id, message),
      saveDraft: (text, draftId) =>
        drafts.saveDraft(id, text, { title: this.#titleOf(id), id: draftId }),
      unsavedEdits: () => drafts.editsOf(id),
      saveEditDraft: (text, edit) => drafts.saveDraft(id, text, { title: this.#titleOf(id), edit }),
      dropEditDraft: (seq) => drafts.dropEdit(id, seq),
      saveEdit: (seq, text) => this.#messageActions.saveEdit(id, seq, text),
      sayTyping: () => {
        if (this.#userData.preferences.get("showsTyping")) this.#workspace.sayTyping(id);
      },
      findChoices: (word) => this.#choices.find(id, word),
      chooseEmoji: (button) => this.#emoji.choose(button),
      sendMessage: (text) => this.#sendMessage(id, text),
      retryMessage: (clientId) => outbox.retry(clientId),
      restoreMessage: (clientId) => this.#restoreMessage(id, clientId),
      discardMessage: (clientId) => outbox.discard(clientId),
    };
  }

  /** @param {string} id @param {string} text */
  #sendMessage(id, text) {
    const pane = this.#panes.get(id);
    if (!pane) return;
    this.#readTracker.messageSent(pane);
    pane.showTrouble("");
    // Ask for the newest page before sending, so that the message is posted into what is shown then.
    this.jumps.jumpToNewest(id);
    const { outbox, drafts } = this.#userData;
    outbox.add(id, text, { client_id: drafts.idFor(id, text), title: this.#titleOf(id) });
    drafts.removeSent(id);
  }

  /** Put an unsent message back into the box before it leaves the outbox, so that it is never in neither. @param {string} id @param {string} clientId */
  #restoreMessage(id, clientId) {
    const { outbox } = this.#userData;
    const entry = outbox.entriesOf(id).find(({ client_id }) => client_id === clientId);
    if (entry === undefined) return;
    this.#panes.get(id)?.composer.putBack(entry.text, clientId);
    outbox.discard(clientId);
  }

  /** @param {string} id */
  #paneItems(id) {
    return paneItems(this.#panes, id, {
      readTracker: this.#readTracker,
      askForDay: () => this.jumps.askForDay(id, this.#titleOf(id)),
      print: () => {
        const pane = this.#panes.get(id);
        if (pane) printOnly(pane);
      },
      settings: this.#settingsItem(id),
    });
  }

  /** Members of a room see who they are; staff may change the rooms that users share. @param {string} id */
  #settingsItem(id) {
    const room = this.#workspace.rooms.get(id);
    if (!room || room.kind === "direct" || (!room.kind && !this.#isStaff)) return null;
    const label = room.kind ? "Members and settings…" : "Room settings…";
    return { label, act: () => this.#rooms.showSettings(room) };
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace.rooms.get(id)?.title ?? "";
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const keys = chord(event, isSelectingText(event.target, navigator.platform));
    const room = this.#panes.focused?.room;
    const items = room ? this.#paneItems(room) : [];
    if (keys === NEXT_UNREAD) this.#readTracker.goToNextUnread(1);
    else if (keys === PREVIOUS_UNREAD) this.#readTracker.goToNextUnread(-1);
    else if (items.some((item) => item.keys === keys))
      items.find((item) => item.keys === keys)?.act();
    else return;
    event.preventDefault();
  }
}
