/** Copies a text, also over plain HTTP, where browsers have no clipboard API. */

import { gettext } from "../model/language.js";

/** How long a button says that it has copied. */
const SAID_MS = 2_000;

/** @param {string} text */
export function copyText(text) {
  if (navigator.clipboard) navigator.clipboard.writeText(text).catch(() => copySelected(text));
  else copySelected(text);
}

/** Copy a text, and say so in the button that was pressed. @param {HTMLElement} button @param {string} text */
export function copyByButton(button, text) {
  copyText(text);
  const label = button.dataset.label ?? button.textContent ?? "";
  button.dataset.label = label;
  button.textContent = gettext("Copied");
  setTimeout(() => {
    button.textContent = label;
  }, SAID_MS);
}

/** The old command copies what is selected, so select the text in a box of its own. @param {string} text */
function copySelected(text) {
  const { activeElement } = document;
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "visually-hidden";
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
  if (activeElement instanceof HTMLElement) activeElement.focus({ preventScroll: true });
}
