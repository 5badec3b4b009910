/** Shows unsent messages and drafts: in their pane, or offered back above the panes. */

import { MESSAGE } from "../model/protocol.js";
import { AT_RISK } from "../model/strings.js";
import { OrphanedMessages } from "./orphaned_messages.js";

/** @import {Draft, Drafts} from "../model/drafts.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {Workspace} from "../model/workspace.js" */

export class Unsent {
  #outbox;
  #drafts;
  #panes;
  #list;
  #notices;
  #workspace;
  #orphanedMessages;
  #wasAtRisk = false;
  /** Called when the messages of a room that are not acknowledged changed, or its pane was closed. @type {() => void} */
  onchange = () => {};

  /**
   * @param {{outbox: Outbox, drafts: Drafts}} userData
   * @param {{panes: PaneRow, list: RoomList, notices: Notices, workspace: Workspace}} page
   */
  constructor({ outbox, drafts }, { panes, list, notices, workspace }) {
    this.#outbox = outbox;
    this.#drafts = drafts;
    this.#panes = panes;
    this.#list = list;
    this.#notices = notices;
    this.#workspace = workspace;
    this.#orphanedMessages = new OrphanedMessages(notices, {
      outbox,
      drafts,
      putBack: (draft) => this.#putBack(draft),
    });
    outbox.onchange = (room) => this.showUnsent(room);
    drafts.onchange = (room) => this.#showDraft(room);
  }

  /** How many messages signing out would discard. */
  get count() {
    return this.#outbox.unsentCount;
  }

  /** Whether closing the page would lose something. */
  get isAtRisk() {
    return this.#outbox.isAtRisk || this.#drafts.isAtRisk;
  }

  /** The draft of a room that is opened. @param {string} room */
  openDraft(room) {
    this.#drafts.openRoom(room);
    return this.#draftOf(room);
  }

  /** @param {string} room */
  #draftOf(room) {
    const { text = "", type = MESSAGE, extras = null } = this.#drafts.draftOf(room) ?? {};
    return { text, type, extras };
  }

  /** @param {string} room */
  closeDraft(room) {
    this.#drafts.closeRoom(room);
  }

  /** The server closed a room. @param {Room} room @param {string} reason a code */
  roomClosed(room, reason) {
    this.#orphanedMessages.roomClosed(room, reason);
    this.showOrphans();
  }

  /**
   * A room's log starts over. If it is another log than before, the draft that was written for the old one leaves the box.
   * @param {string} room
   * @returns {boolean} whether a draft left the box while the box had the focus
   */
  logReset(room) {
    if (!this.#drafts.epochChanged(room)) return false;
    const composer = this.#panes.get(room)?.composer;
    const hadFocus = composer?.contains(document.activeElement) === true;
    composer?.resetDraft(this.#drafts.draftOf(room)?.text ?? "");
    this.showOrphans();
    return hadFocus;
  }

  /** Show the messages of a room that are not acknowledged. @param {string} room */
  showUnsent(room) {
    const entries = this.#outbox.entriesOf(room);
    const pane = this.#panes.get(room);
    pane?.list.showUnsent(entries);
    const waiting =
      pane && !this.#panes.isStrip(room)
        ? 0
        : entries.filter(({ state }) => state !== "sent").length;
    this.#list.showUnsentCount(room, waiting);
    // Nothing waits any more, so the reason for waiting is over.
    if (entries.every(({ state }) => state !== "pending")) pane?.showTrouble("");
    this.showOrphans();
    this.onchange();
  }

  /** Offer back the messages and drafts that no pane shows. */
  showOrphans() {
    this.#orphanedMessages.showOrphans(this.#workspace.rooms);
  }

  /** Once a second. The risk is shown at the second tick only, because most messages are sent by then. */
  tick() {
    this.repairStorage();
    const { isAtRisk } = this;
    if (isAtRisk && this.#wasAtRisk) this.#notices.show(AT_RISK, { dismiss: null });
    if (!isAtRisk) this.#notices.remove(AT_RISK);
    this.#wasAtRisk = isAtRisk;
  }

  /** Store again what the storage lost or refused. @param {boolean} [isLast] the page is being closed */
  repairStorage(isLast) {
    this.#outbox.repairStorage(isLast);
    this.#drafts.repairStorage(isLast);
  }

  /** The user is signed in. */
  connected() {
    this.#outbox.open();
    this.#drafts.reopen();
  }

  /** After signing out, nothing that the user wrote stays in the browser. */
  clear() {
    this.#outbox.clear();
    this.#drafts.clear();
  }

  /** Another tab changed the draft that a room's box shows here. @param {string} room */
  #showDraft(room) {
    const composer = this.#panes.get(room)?.composer;
    const { text, type, extras } = this.#draftOf(room);
    composer?.showDraft(text);
    if (composer) composer.type = type;
    composer?.showExtras(extras);
    composer?.showEdits();
    this.showOrphans();
  }

  /** @param {Draft} draft */
  #putBack(draft) {
    this.#panes.scrollToPane(draft.room);
    this.#panes.get(draft.room)?.composer.putBack(draft.text, undefined, draft);
    this.#drafts.removeDraft(draft);
    this.showOrphans();
  }
}
