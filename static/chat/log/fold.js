/** Folds messages of many lines until the reader asks to see all of it. */

import { copyElement } from "../dom/templates.js";

/** The list that contains the message. @typedef {HTMLElement & {keepTop: (element: HTMLElement, change: () => void) => void}} List */

/** A folded message shows this many lines: the same number as in the style sheet. */
const MAX_LINES = 30;

/**
 * Fold a long message, unless the reader has unfolded it.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function foldMessage(element, text) {
  const isLong = hasMoreLines(text, MAX_LINES) && !element.classList.contains("unfolded");
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
  element.querySelector("p.text")?.after(button);
}

/** @param {string} text @param {number} count */
function hasMoreLines(text, count) {
  let at = -1;
  for (let line = 0; line < count; line += 1) {
    at = text.indexOf("\n", at + 1);
    if (at === -1) return false;
  }
  return true;
}
