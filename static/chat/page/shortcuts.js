/** Tells when a key belongs to a text field and not to the page, and names the keys at the controls that have some. */

import { chordWords } from "../model/shortcuts.js";

/** @import {ShortcutName, Shortcuts} from "../model/shortcuts.js" */

/**
 * @param {EventTarget | null} target
 * @param {boolean} isMac
 */
export function isSelectingText(target, isMac) {
  return isMac && target instanceof HTMLTextAreaElement && target.value !== "";
}

export const IS_MAC = /mac|iphone|ipad/i.test(globalThis.navigator?.platform ?? "");

/** Name the user's own keys at each control that the template marks with `data-shortcut`. @param {Shortcuts} shortcuts */
export function showChords(shortcuts) {
  for (const element of document.querySelectorAll("[data-shortcut]")) {
    const { dataset } = /** @type {HTMLElement} */ (element);
    const chord = shortcuts.chordFor(/** @type {ShortcutName} */ (dataset.shortcut));
    if (element.matches("kbd")) element.textContent = chordWords(chord, shortcuts.isMac);
    else if (chord) element.setAttribute("aria-keyshortcuts", chord);
    else element.removeAttribute("aria-keyshortcuts");
  }
}
