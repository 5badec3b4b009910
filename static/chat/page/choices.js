/** Finds what can complete a word in a composer: people who may enter its room, the reader's rooms, emoji. */

import { MAX_CHOICES, peopleChoices, roomChoices } from "../model/completion.js";
import { shownNames } from "../model/names.js";

/** @import {Choice, Word} from "../model/completion.js" */
/** @import {Workspace} from "../model/workspace.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {EmojiSource} from "./emoji_source.js" */

export class Choices {
  #panes;
  #workspace;
  #emoji;
  #me;

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, emoji: EmojiSource, me: string}} page
   */
  constructor(panes, { workspace, emoji, me }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#emoji = emoji;
    this.#me = me;
  }

  /** @param {string} room @param {Word} word @returns {Promise<Choice[]>} */
  async find(room, { sign, typed }) {
    if (sign === "#") return roomChoices(typed, this.#workspace.rooms.values());
    if (sign === "@") {
      const others = await this.#workspace.findPeople(room, typed);
      const here = this.#panes.get(room)?.present ?? [];
      return peopleChoices(typed, {
        ...{ here, others, me: this.#me },
        shown: (name) => shownNames.of(name),
      });
    }
    const found = await this.#emoji.search(typed, MAX_CHOICES);
    return found.map(({ emoji, shortNames, name }) => ({
      label:
        shortNames.find((short) => short.startsWith(typed.toLowerCase())) ?? shortNames[0] ?? name,
      text: emoji,
      hint: emoji,
    }));
  }
}
