/** Does what can be done with a message: edit, delete, take back, copy. */

import { messageItems } from "./message_menu.js";
import { unchangedSentence } from "./words.js";

/** @import {PaneRow} from "./pane_row.js" */
/** @import {Reading} from "./reading.js" */
/** @import {Message} from "./room_log.js" */
/** @import {Workspace} from "./workspace.js" */

export class MessageActs {
  #panes;
  #workspace;
  #reading;
  #user;

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, reading: Reading, user: {id: number, staff: boolean}}} page
   */
  constructor(panes, { workspace, reading, user }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#reading = reading;
    this.#user = user;
  }

  /** @param {string} room @param {Message} message */
  items(room, message) {
    const { clipboard } = navigator;
    return messageItems(message, this.#user, {
      edit: () => this.edit(room, message),
      markUnread: () => this.#reading.markUnread(room, message.seq),
      remove: () => this.remove(room, message),
      copyText: clipboard && (() => clipboard.writeText(message.text ?? "")),
      copyLink: clipboard && (() => clipboard.writeText(linkTo(room, message))),
    });
  }

  /** @param {string} room @param {Message} message */
  edit(room, { seq, text }) {
    const pane = this.#panes.get(room);
    const edit = pane?.composer.beginEdit(text ?? "", (message) => {
      pane.showTrouble("");
      this.#workspace.change(
        { command: "edit", room, seq, message },
        {
          done: () => edit && pane.composer.endEdit(edit),
          failed: (frame) => {
            if (edit) pane.composer.keepEdit(edit);
            pane.showTrouble(unchangedSentence(frame));
          },
        },
      );
    });
  }

  /** @param {string} room @param {Message} message */
  remove(room, { seq }) {
    const pane = this.#panes.get(room);
    pane?.showTrouble("");
    this.#workspace.change(
      { command: "delete", room, seq },
      { done: () => {}, failed: (frame) => pane?.showTrouble(unchangedSentence(frame)) },
    );
  }

  /** The text is back before it is gone: whatever happens to the line, it is not lost. @param {string} room @param {Message} message */
  undo(room, message) {
    const composer = this.#panes.get(room)?.composer;
    if (!composer) return;
    composer.text = [message.text, composer.draft].filter(Boolean).join("\n");
    composer.focus();
    this.remove(room, message);
  }
}

/** @param {string} room @param {Message} message */
function linkTo(room, { seq }) {
  return new URL(`/?rooms=${room}&at=${room}.${seq}`, location.href).href;
}
