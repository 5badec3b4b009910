/** Edits, deletes, takes back and copies messages. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";
import { dates } from "../log/days.js";
import { gettext } from "../model/language.js";
import { isOwn } from "../model/own.js";
import { authorWords, DELETE_COPIES, DELETE_MESSAGE, unchangedSentence } from "../model/strings.js";

/** @import {Asked} from "../lazy/confirm_dialog.js" */
/** @import {CopiesChange} from "../lazy/copies.js" */
/** @import {Carrying} from "./carrying.js" */
/** @import {Change} from "../model/protocol.js" */
/** @import {Drafts} from "../model/drafts.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Lists} from "./menus.js" */
/** @import {ErrorFrame} from "../model/protocol.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {ReadTracker} from "./read_tracker.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Workspace} from "../model/workspace.js" */

/** How much of a message is quoted before it is deleted. */
const MOST_QUOTED = 300;

export class MessageActions {
  #panes;
  #workspace;
  #readTracker;
  #user;
  #drafts;
  #sameMoment;
  #carrying;
  #confirmDialog;
  #notices;

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, readTracker: ReadTracker, user: {id: number, staff: boolean}, drafts: Drafts, notices: Notices, notLoaded: () => void, carrying: Carrying}} page
   */
  constructor(panes, { workspace, readTracker, user, drafts, notices, notLoaded, carrying }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#readTracker = readTracker;
    this.#user = user;
    this.#drafts = drafts;
    this.#notices = notices;
    this.#carrying = carrying;
    this.#confirmDialog = new LazyPart(async () => {
      const { ConfirmDialog } = await import("lazy/confirm_dialog");
      return new ConfirmDialog(part(document, "confirm-dialog"));
    }, notLoaded);
    this.#sameMoment = new LazyPart(async () => {
      const { SameMoment } = await import("lazy/same_moment");
      return new SameMoment(panes, { workspace, readTracker });
    }, notLoaded);
  }

  /** Whether there is a pane to move to the same moment. */
  get #hasOthers() {
    return this.#panes.all.length > 1 && !this.#panes.isPhone;
  }

  /** @param {string} room @param {{seq: number, at: string}} moment of a message, or of a day without a message */
  showSameMoment(room, moment) {
    if (this.#hasOthers) this.#sameMoment.use((same) => same.start(room, moment));
  }

  /** @param {string} room @param {string} at when the first message of the day was written */
  dayItems(room, at) {
    const act = () => this.showSameMoment(room, { seq: 0, at });
    return this.#hasOthers ? [{ label: gettext("Same moment"), act }] : [];
  }

  endSameMoment() {
    this.#sameMoment.loaded?.finish();
  }

  /** @param {Lists} lists @param {string} room @param {Message} message @param {{reply: () => void, react: () => void, quote: (() => void) | undefined}} answers */
  menuItems(lists, room, message, answers) {
    const { clipboard } = navigator;
    // As the menu opens, because the selection may end with it.
    const selected = this.#panes.get(room)?.list.selectedMessages ?? [];
    const markdown = lists.asMarkdown(selected.includes(message) ? selected : [message], {
      linkTo: (each) => linkTo(room, each),
      time: ({ at }) => dates.stamp(at),
      author: authorWords,
    });
    return lists.messageItems(
      message,
      { ...this.#user, isArchived: this.#isArchived(room) },
      {
        ...answers,
        edit: () => this.editMessage(room, message),
        markUnread: () => this.#readTracker.markUnread(room, message.seq),
        remove: () => this.#askToDelete(room, message),
        resolve: () => this.#change({ command: "resolve", room, seq: message.seq }),
        showWho: (confirmed) => lists.showWho(this.#panes.get(room), message, confirmed),
        sameMoment: this.#hasOthers ? () => this.showSameMoment(room, message) : undefined,
        copyText: clipboard && (() => clipboard.writeText(message.text ?? "")),
        copyMarkdown: clipboard && (() => clipboard.writeText(markdown)),
        copyLink: clipboard && (() => clipboard.writeText(linkTo(room, message))),
      },
    );
  }

  /** What was sent into several rooms is changed in all of them. @param {string | undefined} across @param {string} room @param {CopiesChange} change */
  #changeCopies(across, room, change) {
    if (across) this.#carrying.use(({ copies }) => copies.changeAll(across, room, change));
  }

  /** Edit a message, continuing an unsaved edit if there is one. @param {string} room @param {Message} message */
  editMessage(room, { seq, text, across }) {
    if (this.#isArchived(room)) return;
    const draft = this.#editOf(room, seq);
    const original = text ?? "";
    const message = { seq, text: original, across };
    this.#panes.get(room)?.composer.editMessage(message, draft?.text ?? original);
  }

  /** @param {string} room @param {{seq: number, across?: string | undefined}} edited @param {string} message */
  saveEdit(room, { seq, across }, message) {
    this.#panes.get(room)?.showTrouble("");
    this.#workspace.changeMessage(
      { command: "edit", room, seq, message, ...(across && { across }) },
      {
        done: () => {
          this.#changeCopies(across, room, { message });
          // Keep the draft if its author has gone on editing meanwhile.
          if (this.#editOf(room, seq)?.text === message) this.#drafts.dropEdit(room, seq);
          this.#panes.get(room)?.composer.editSaved(seq, message);
        },
        failed: (frame) => {
          this.#panes.get(room)?.composer.editAnswered(seq);
          this.#showUnchanged(room, frame);
        },
      },
    );
  }

  /** @param {string} question @param {Asked} what */
  askFirst(question, what) {
    this.#confirmDialog.use((dialog) => dialog.ask(question, what));
  }

  /** Staff are asked too, because they delete the messages of others. @param {string} room @param {Message} message */
  #askToDelete(room, message) {
    const hasCopies = message.across !== undefined && isOwn(message, this.#user);
    const onlyHere = () => this.deleteMessage(room, message);
    this.askFirst(hasCopies ? DELETE_COPIES : DELETE_MESSAGE, {
      text: (message.text ?? "").slice(0, MOST_QUOTED),
      label: hasCopies ? gettext("Delete all") : gettext("Delete"),
      confirmed: hasCopies
        ? () => this.deleteMessage(room, message, { copies: { undo: false } })
        : onlyHere,
      other: hasCopies ? { label: gettext("Only here"), act: onlyHere } : undefined,
    });
  }

  /** @param {string} username @param {(sentence: string) => void} onfailed */
  async confirmDeactivation(username, onfailed) {
    const { confirmDeactivation } = await import("lazy/deactivation");
    confirmDeactivation(username, (question, what) => this.askFirst(question, what), onfailed);
  }

  /** @param {string} room @param {Message} message @param {{undo?: true, copies?: CopiesChange}} how `copies`: what happens to its copies */
  deleteMessage(room, { seq, across }, { copies, ...undo } = {}) {
    if (copies) this.#changeCopies(across, room, copies);
    // With `across` it is deleted even if its pane was closed meanwhile.
    this.#change({ command: "delete", room, seq, ...undo, ...(across && { across }) });
  }

  /** @param {Change} change */
  #change(change) {
    const { room } = change;
    this.#panes.get(room)?.showTrouble("");
    this.#workspace.changeMessage(change, {
      done: () => {},
      failed: (frame) => this.#showUnchanged(room, frame),
    });
  }

  /** In the room's pane, or above the panes if it was closed meanwhile. @param {string} room @param {ErrorFrame} [frame] */
  #showUnchanged(room, frame) {
    const pane = this.#panes.get(room);
    const sentence = unchangedSentence(frame);
    if (pane) pane.showTrouble(sentence);
    else this.#notices.show(sentence);
  }

  /** Put the text back before deleting the message, so that it is not lost if the connection fails. @param {string} room @param {Message} message */
  undoMessage(room, message) {
    const composer = this.#panes.get(room)?.composer;
    if (!composer) return;
    if (composer.draft === "") {
      const { replyTo, source } = message;
      if (replyTo || source)
        composer.showExtras({ ...(replyTo && { replyTo }), ...(source && { source }) });
    }
    composer.text = [message.text, composer.draft].filter(Boolean).join("\n");
    composer.focus();
    this.deleteMessage(room, message, { undo: true, copies: { undo: true } });
  }

  /** @param {string} room */
  #isArchived(room) {
    return this.#workspace.rooms.get(room)?.archived === true;
  }

  /** @param {string} room @param {number} seq */
  #editOf(room, seq) {
    return this.#drafts.editsOf(room).find(({ edit }) => edit?.seq === seq);
  }
}

/** @param {string} room @param {Message} message */
function linkTo(room, { seq }) {
  return new URL(`/?rooms=${room}&at=${room}.${seq}`, location.href).href;
}
