/** Jumps within a room's log: to the newest message, the first unread one, a linked message, or a day. */

import { JUMP_WAITS, missingMessageWords } from "../model/strings.js";

/** @import {DayDialog} from "../lazy/day_dialog.js" */
/** @import {LazyPart} from "../dom/lazy_part.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {HistoryPlace, Message} from "../model/room_log.js" */
/** @import {Workspace} from "../model/workspace.js" */

export class Jumps {
  #panes;
  #workspace;
  #dialog;
  #notices;
  #readOf;

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, dialog: LazyPart<DayDialog>, notices: Notices, readOf: (room: string) => number | undefined}} page
   */
  constructor(panes, { workspace, dialog, notices, readOf }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#dialog = dialog;
    this.#notices = notices;
    this.#readOf = readOf;
  }

  /** @param {string} room */
  jumpToNewest(room) {
    const pane = this.#panes.get(room);
    if (pane?.list.isAtHead) this.#showHeld(room, () => pane.scrollToBottom());
    else this.#jump(room, {}, () => pane?.scrollToBottom());
  }

  /** Jump to the first unread message, wherever it is. @param {string} room */
  jumpToNew(room) {
    const list = this.#panes.get(room)?.list;
    const around = this.#readOf(room);
    if (list?.newLine.isShown || around === undefined)
      this.#showHeld(room, () => list?.scrollToNew());
    else this.#jump(room, { around }, () => list?.scrollToNew());
  }

  /** Jump to the message that a link leads to. @param {string} room @param {number} seq */
  jumpToMessage(room, seq) {
    this.#jump(room, { around: seq }, (messages) => {
      const message = messages.find((candidate) => candidate.seq === seq);
      this.#panes.get(room)?.list.scrollToMessage(seq);
      if (!message || message.deleted)
        this.#notices.show(missingMessageWords(message !== undefined));
    });
  }

  /** Show what is loaded already, in place of what was jumped to before. @param {string} room @param {() => void} show */
  #showHeld(room, show) {
    this.#workspace.cancelJump(room);
    this.#panes.get(room)?.dropTrouble(JUMP_WAITS);
    show();
  }

  /** The reader scrolls instead of waiting for the jump. @param {string} room */
  cancelWaitingJump(room) {
    if (this.#workspace.cancelWaitingJump(room)) this.#panes.get(room)?.dropTrouble(JUMP_WAITS);
  }

  /**
   * @param {string} room
   * @param {HistoryPlace} place
   * @param {(messages: Message[]) => void} arrived
   */
  #jump(room, place, arrived) {
    const pane = this.#panes.get(room);
    const isWaiting = this.#workspace.jump(room, place, (messages) => {
      pane?.dropTrouble(JUMP_WAITS);
      arrived(messages);
    });
    if (isWaiting) pane?.showTrouble(JUMP_WAITS);
  }

  /** Ask for a day, and jump to the first message on or after it. @param {string} room @param {string} title */
  askForDay(room, title) {
    this.#dialog.use((dialog) =>
      dialog.open(title, {
        jump: (from, arrived) => this.#workspace.jump(room, { from }, arrived),
        found: ({ seq }) => this.#panes.get(room)?.list.scrollToMessage(seq),
        cancelled: () => this.#workspace.cancelJump(room),
      }),
    );
  }
}
