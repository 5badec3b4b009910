/** Searches messages from the box "Find or jump". The region of the results is loaded when it is first used. */

import { LazyPart } from "../dom/lazy_part.js";
import { searchWords } from "../model/strings.js";

/** @import {SearchActions} from "../lazy/search_pane.js" */
/** @import {Option} from "../lazy/switcher.js" */

export class Search {
  #pane;

  /** @param {HTMLElement} row where the panes stand @param {SearchActions} actions @param {() => void} onfailed */
  constructor(row, actions, onfailed) {
    this.#pane = new LazyPart(async () => {
      const { SearchPane } = await import("lazy/search_pane");
      return new SearchPane(row, actions);
    }, onfailed);
  }

  /** The last option of the box. @param {string} typed @returns {Option[]} */
  optionsFor(typed) {
    if (typed === "") return [];
    return [
      {
        id: "search",
        label: searchWords(typed),
        act: () => this.#pane.use((pane) => pane.open(typed)),
      },
    ];
  }

  /** The region, once it is loaded. */
  get loaded() {
    return this.#pane.loaded;
  }
}
