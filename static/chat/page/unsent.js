/** What was written and not sent, on the page: in its pane, or offered back above the panes. */

import { AT_RISK } from "../model/strings.js";
import { OrphanedMessages } from "./orphaned_messages.js";

/** @import {Draft, Drafts} from "../model/drafts.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */

export class Unsent {
  #outbox;
  #drafts;
  #panes;
  #list;
  #notices;
  #orphanedMessages;
  /** @type {() => Map<string, Room>} */
  #rooms = () => new Map();
  #wasAtRisk = false;

  /**
   * @param {{outbox: Outbox, drafts: Drafts}} kept
   * @param {{panes: PaneRow, list: RoomList, notices: Notices}} page
   */
  constructor({ outbox, drafts }, { panes, list, notices }) {
    this.#outbox = outbox;
    this.#drafts = drafts;
    this.#panes = panes;
    this.#list = list;
    this.#notices = notices;
    this.#orphanedMessages = new OrphanedMessages(notices, {
      outbox,
      drafts,
      putBack: (draft) => this.#putBack(draft),
    });
  }

  /** @param {() => Map<string, Room>} rooms those that are there */
  start(rooms) {
    this.#rooms = rooms;
    this.#outbox.onchange = (room) => this.showUnsent(room);
    this.#drafts.onchange = (room) => this.#showDraft(room);
    this.#drafts.onsignout = () => this.#outbox.close();
  }

  /** How many texts signing out would discard. */
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
    return this.#drafts.draftOf(room)?.text ?? "";
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
   * A log starts over: if it is another one than before, what was written for that does not stand in its box any more.
   * @param {string} room
   * @returns {boolean} whether something was taken out of the box while it had the focus
   */
  logReset(room) {
    if (!this.#drafts.epochChanged(room)) return false;
    const composer = this.#panes.get(room)?.composer;
    const hadFocus = composer?.contains(document.activeElement) === true;
    composer?.resetDraft(this.#drafts.draftOf(room)?.text ?? "");
    this.showOrphans();
    return hadFocus;
  }

  /** Show the texts that wait for a room. @param {string} room */
  showUnsent(room) {
    const texts = this.#outbox.entriesOf(room);
    const pane = this.#panes.get(room);
    pane?.showUnsent(texts);
    const waiting = pane ? 0 : texts.filter(({ state }) => state !== "sent").length;
    this.#list.showUnsentCount(room, waiting);
    // What kept them from being sent is over.
    if (texts.every(({ state }) => state !== "pending")) pane?.showTrouble("");
    this.showOrphans();
  }

  /** Offer back what stands in no pane. */
  showOrphans() {
    this.#orphanedMessages.showOrphans(this.#rooms());
  }

  /** Once a second. Most texts are sent before the risk is worth saying. */
  tick() {
    this.repairStorage();
    const { isAtRisk } = this;
    if (isAtRisk && this.#wasAtRisk) this.#notices.show(AT_RISK, { dismiss: null });
    if (!isAtRisk) this.#notices.remove(AT_RISK);
    this.#wasAtRisk = isAtRisk;
  }

  /** Store again what the storage lost or did not take. @param {boolean} [isLast] the page is being closed */
  repairStorage(isLast) {
    this.#outbox.repairStorage(isLast);
    this.#drafts.repairStorage(isLast);
  }

  /** The user is signed in. */
  connected() {
    this.#outbox.open();
    this.#drafts.reopen();
  }

  /** At sign-out nothing that was written stays in the browser. */
  clear() {
    this.#outbox.clear();
    this.#drafts.clear();
  }

  /** Another tab changed what stands in a room's box here. @param {string} room */
  #showDraft(room) {
    const composer = this.#panes.get(room)?.composer;
    composer?.showDraft(this.#drafts.draftOf(room)?.text ?? "");
    composer?.showEdits();
    this.showOrphans();
  }

  /** @param {Draft} draft */
  #putBack(draft) {
    this.#panes.get(draft.room)?.composer.putBack(draft.text);
    this.#drafts.removeDraft(draft);
    this.showOrphans();
  }
}
