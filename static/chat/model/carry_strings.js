/** The sentences about quotes and copies in other rooms: the rest of strings.js, loaded when they are first used. */

/** @import {Room} from "./protocol.js" */

/** How many rooms a sentence names. */
const MOST_NAMED = 3;

/** In place of a quoted message whose room the reader may not enter. */
export const HIDDEN_SOURCE = "A message in a room that you can't open.";

export const NO_SOURCE = "This message isn't available any more.";

/** @param {string} title */
export function removeWords(title) {
  return `Remove ${title}`;
}

/** @param {number} count */
export function moreRoomsWords(count) {
  return `and ${count} more`;
}

export const GONE =
  "A room that you chose isn't available any more. Press Enter again to send without it.";

/**
 * A message is about to leave a restricted room.
 * @param {Room | undefined} narrow
 * @param {Room} wide
 * @param {boolean} isQuote
 */
export function wideWords(narrow, wide, isQuote) {
  const from = narrow?.title ?? "a room that you can't open";
  const what = isQuote
    ? `This quotes ${from}, but `
    : `Not everybody in ${wide.title} can read ${from}: `;
  const who = isQuote ? `others can read ${wide.title} too.` : "this goes to both.";
  return `${what}${who} Press Enter again to send.`;
}

/** @param {number} count */
export function manyWords(count) {
  return `This goes to ${count} rooms. Press Enter again to send.`;
}

/** @param {string} title @param {string} reason */
export function copyUnsentWords(title, reason) {
  return `The copy for ${title} wasn't sent. ${reason}`;
}

/** @param {string[]} titles of the rooms @param {string} reason */
export function copiesUnchangedWords(titles, reason) {
  if (titles.length === 1) return `The copy in ${titles[0]}: ${reason}`;
  const more = titles.length > MOST_NAMED ? ` ${moreRoomsWords(titles.length - MOST_NAMED)}` : "";
  return `${titles.length} copies (${titles.slice(0, MOST_NAMED).join(", ")}${more}): ${reason}`;
}

export const COPIES_UNKNOWN =
  "The copies of this message in other rooms may not have changed. Try again when you're connected.";

/** @param {number} count */
export function allRoomsQuestion(count) {
  return `Address all ${count} other rooms?`;
}

/** Files belong to the room to which they were uploaded. */
export const FILES = "Files can only go into one room. Remove them, or the other rooms.";
