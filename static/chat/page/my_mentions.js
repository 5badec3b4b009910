/** Opens the list of the reader's mentions at its button. The list is loaded when it is first used. */

import { NOT_LOADED } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {MentionList, Source} from "../lazy/mention_list.js" */

export class MyMentions {
  #source;
  #notices;
  /** @type {Promise<MentionList> | null} */
  #loading = null;

  /** @param {HTMLElement} button @param {Source} source @param {Notices} notices */
  constructor(button, source, notices) {
    this.#source = source;
    this.#notices = notices;
    button.addEventListener("click", () => this.#open(button));
  }

  /** @param {HTMLElement} button */
  async #open(button) {
    const focused = document.activeElement;
    this.#loading ??= load(this.#source);
    try {
      const list = await this.#loading;
      // A user who has moved the focus meanwhile keeps it.
      if (document.activeElement === focused) list.open(button);
    } catch {
      this.#loading = null;
      this.#notices.show(NOT_LOADED);
    }
  }

  /** The reader may not see all of these messages any more. */
  async clear() {
    (await this.#loading?.catch(() => null))?.clear();
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
