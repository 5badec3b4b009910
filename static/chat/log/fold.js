/** Folds messages of many lines until the reader asks to see all of it. */

import { copyElement } from "../dom/templates.js";

/** The list that contains the message. @typedef {HTMLElement & {keepTop: (element: HTMLElement, change: () => void) => void}} List */

/** A folded message shows 20 lines (styles/message.css). One that takes few more is not folded: the button takes space too. */
const MAX_LINES = 24;

/**
 * Fold a long message, unless the reader has unfolded it.
 * @param {HTMLElement} element
 * @param {number | undefined} lines about how many it has; undefined when its text has not changed
 */
export function foldMessage(element, lines) {
  if (lines === undefined) return;
  const isLong = lines > MAX_LINES && !element.classList.contains("unfolded");
  const button = element.querySelector(".unfold");
  element.classList.toggle("folded", isLong);
  if (!isLong) button?.remove();
  else if (!button) addButton(element);
}

/** @param {HTMLElement} element */
function addButton(element) {
  const button = copyElement("unfold-template");
  button.addEventListener("click", () => {
    const log = /** @type {List | null} */ (element.closest("message-list"));
    log?.keepTop(element, () => {
      element.classList.replace("folded", "unfolded");
      button.remove();
    });
  });
  element.querySelector(".text")?.after(button);
}
