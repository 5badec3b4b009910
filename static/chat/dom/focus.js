/** Keeps the focus off elements that are hidden. */

import { part } from "./templates.js";

/** Move the focus to where keys do nothing, so that what is being typed does not go on elsewhere. */
export function focusNothing() {
  part(document, "panes-and-notices").focus({ preventScroll: true });
}

/** Show or hide a bar above the panes. @param {HTMLElement} bar @param {boolean} isHidden */
export function setHidden(bar, isHidden) {
  if (bar.hidden === isHidden) return;
  if (bar.contains(document.activeElement)) focusNothing(); // it would be lost
  bar.hidden = isHidden;
}
