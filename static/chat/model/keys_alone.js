/** Keys that are pressed alone, without Control or Alt. Only while nothing is typed can they be shortcuts. */

import { chordOf } from "./shortcuts.js";

/** @import {Pressed, ShortcutName} from "./shortcuts.js" */

/** The shortcuts of catching up. @type {ShortcutName[]} */
export const WITHOUT_TYPING = ["nextScreen", "readOn"];

/** Name the keys of an event as `chordOf` does, or the key that types by itself. @param {Pressed} event */
export function keysOf(event) {
  const { key, altKey, ctrlKey, metaKey } = event;
  const chord = chordOf(event);
  if (chord || altKey || ctrlKey || metaKey) return chord;
  return key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key;
}
