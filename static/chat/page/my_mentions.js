/** Opens the list of the reader's mentions at its button. The list is loaded when it is first used. */

import { LazyPart } from "../dom/lazy_part.js";

/** @import {Source} from "../lazy/mention_list.js" */

export class MyMentions {
  #list;

  /** @param {HTMLElement} button @param {Source} source @param {() => void} onfailed */
  constructor(button, source, onfailed) {
    this.#list = new LazyPart(() => load(source), onfailed);
    button.addEventListener("click", () => this.#list.use((list) => list.open(button)));
  }

  /** The reader may not see all of these messages any more. */
  clear() {
    this.#list.loaded?.clear();
  }
}

/** @param {Source} source */
async function load(source) {
  const { MentionList } = await import("lazy/mention_list");
  customElements.define("mention-list", MentionList);
  const list = new MentionList();
  list.configure(source);
  document.body.append(list);
  return list;
}
