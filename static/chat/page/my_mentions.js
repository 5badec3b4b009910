/** Opens the list of the reader's mentions at its button. The list is loaded when it is first used. */

import { NOT_LOADED } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {MentionList, Source} from "../lazy/mention_list.js" */

/**
 * @param {HTMLElement} button
 * @param {Source} source
 * @param {Notices} notices
 */
export function openMentionsAtClick(button, source, notices) {
  /** @type {Promise<MentionList> | null} */
  let loading = null;
  button.addEventListener("click", async () => {
    const focused = document.activeElement;
    loading ??= load(source);
    try {
      const list = await loading;
      // A user who has moved the focus meanwhile keeps it.
      if (document.activeElement === focused) list.open(button);
    } catch {
      loading = null;
      notices.show(NOT_LOADED);
    }
  });
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
