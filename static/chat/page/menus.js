/** Opens the page's menus, which are loaded when the first of them is opened. */

import { LazyPart } from "../dom/lazy_part.js";

/** @import {Item} from "../dom/menu.js" */

/** What lists the items of the menus. @typedef {typeof import("../lazy/menus.js")} Lists */

export class Menus {
  #part;

  /** @param {HTMLElement} box a popover @param {(keys: string) => string} keyWords how a shortcut is shown @param {() => void} notLoaded */
  constructor(box, keyWords, notLoaded) {
    this.#part = new LazyPart(async () => {
      const lists = /** @type {Lists} */ (await import("lazy/menus"));
      return { lists, menu: new lists.Menu(box, keyWords) };
    }, notLoaded);
  }

  /**
   * @param {HTMLElement} anchor the button that opens it
   * @param {string} name
   * @param {(lists: Lists) => Item[]} items called when the menu opens
   * @param {(lists: Lists) => Item[]} [choices]
   */
  open(anchor, name, items, choices) {
    this.#part.use(({ lists, menu }) => menu.open(anchor, name, items(lists), choices?.(lists)));
  }
}
