/** What the page says about reactions and replies. Loaded with them (lazy/answers.js). */

import { shownNames } from "./names.js";

/** @import {Person} from "./protocol.js" */
/** @import {Reaction} from "./reactions.js" */

/** In place of the author and the words of a message that is answered. */
export const SOURCE = {
  loading: "Reply to …",
  deleted: "Reply to a deleted message",
  missing: "Reply to a message that isn't available any more",
};

/** How much of a message stands in a reply to it. */
const MAX_WORDS = 140;

/** The first words of a text, in one line. @param {string} text */
export function firstWords(text) {
  const line = text
    .slice(0, MAX_WORDS * 4)
    .replace(/\s+/g, " ")
    .trim();
  const characters = [...line];
  return characters.length > MAX_WORDS ? `${characters.slice(0, MAX_WORDS).join("")}…` : line;
}

/** Name the users who gave a message an emoji: "You, alice and 3 others". @param {Reaction} reaction @param {number} me */
export function reactedWords({ count, users, own }, me) {
  const others = users.filter(({ user }) => user !== me).map(isolated);
  const names = own ? ["You", ...others] : others;
  const rest = count - names.length;
  if (rest > 0) return [...names, rest === 1 ? "1 other" : `${rest} others`].reduce(joined);
  return names.length ? names.reduce(joined) : "";
}

/** @param {string} before @param {string} name @param {number} index @param {string[]} names */
function joined(before, name, index, names) {
  return `${before}${index === names.length - 1 ? " and " : ", "}${name}`;
}

/** The direction of a name reaches nothing beside it. @param {Person} person */
function isolated({ username, user }) {
  return `\u2068${shownNames.of(username, user)}\u2069`;
}
