/** What the page says about reactions and replies. Loaded with them (lazy/answers.js). */

import { gettext, isolate, ngettext } from "./language.js";
import { shownNames } from "./names.js";

/** @import {Reaction} from "./reactions.js" */

/** In place of the author and the words of a message that is answered. */
export const SOURCE = {
  loading: gettext("Reply to …"),
  deleted: gettext("Reply to a deleted message"),
  missing: gettext("Reply to a message that isn't available any more"),
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
  const others = users
    .filter(({ user }) => user !== me)
    .map(({ username, user }) => isolate(shownNames.of(username, user)));
  const names = own ? [gettext("You"), ...others] : others;
  const rest = count - names.length;
  if (rest > 0) names.push(ngettext("{count} other", "{count} others", rest));
  const last = names.pop() ?? "";
  return names.length ? gettext("{names} and {last}", { names: names.join(", "), last }) : last;
}
