/** Searches messages from the box "Find or jump". The region of the results is loaded when it is first used. */

import { NOT_LOADED, searchWords } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {SearchActions, SearchPane} from "../lazy/search_pane.js" */
/** @import {Option} from "./switcher.js" */

export class Search {
  #row;
  #actions;
  #notices;
  /** @type {SearchPane | null} */
  #pane = null;

  /** @param {HTMLElement} row where the panes stand @param {SearchActions} actions @param {Notices} notices */
  constructor(row, actions, notices) {
    this.#row = row;
    this.#actions = actions;
    this.#notices = notices;
  }

  /** The last option of the box. @param {string} typed @returns {Option[]} */
  optionsFor(typed) {
    if (typed === "") return [];
    return [{ id: "search", label: searchWords(typed), act: () => this.#open(typed) }];
  }

  close() {
    this.#pane?.close();
  }

  /** The reader may not see this room any more. @param {string} room */
  removeRoom(room) {
    this.#pane?.removeRoom(room);
  }

  /** @param {string} query */
  async #open(query) {
    try {
      const { SearchPane } = await import("lazy/search_pane");
      this.#pane ??= new SearchPane(this.#row, this.#actions);
    } catch {
      return this.#notices.show(NOT_LOADED);
    }
    this.#pane.open(query);
  }
}
