/** The sentences about quotes and copies in other rooms: the rest of strings.js, loaded when they are first used. */

import { gettext, isolate, ngettext } from "./language.js";

/** @import {Room} from "./protocol.js" */

/** How many rooms a sentence names. */
const MOST_NAMED = 3;

/** In place of a quoted message whose room the reader may not enter. */
export const HIDDEN_SOURCE = /* @__PURE__ */ gettext("A message in a room that you can't open.");

export const NO_SOURCE = /* @__PURE__ */ gettext("This message isn't available any more.");

/** @param {string} room its title */
export function removeWords(room) {
  return gettext("Remove {room}", { room });
}

/** @param {number} count */
export function moreRoomsWords(count) {
  return ngettext("and {count} more", "and {count} more", count);
}

export const GONE = /* @__PURE__ */ gettext(
  "A room that you chose isn't available any more. Press Enter again to send without it.",
);

/**
 * A message is about to leave a restricted room.
 * @param {Room | undefined} narrow
 * @param {Room} wide
 * @param {boolean} isQuote
 */
export function wideWords(narrow, wide, isQuote) {
  const from = narrow?.title ?? "";
  const to = wide.title;
  if (isQuote && from)
    return gettext("This quotes {from}, but others can read {to} too. Press Enter again to send.", {
      from,
      to,
    });
  if (isQuote)
    return gettext(
      "This quotes a room that you can't open, but others can read {to} too. Press Enter again to send.",
      { to },
    );
  return gettext(
    "Not everybody in {to} can read {from}: this goes to both. Press Enter again to send.",
    { from, to },
  );
}

/** @param {number} count */
export function manyWords(count) {
  return ngettext(
    "This goes to {count} room. Press Enter again to send.",
    "This goes to {count} rooms. Press Enter again to send.",
    count,
  );
}

/** @param {string} room its title @param {string} reason */
export function copyUnsentWords(room, reason) {
  return gettext("The copy for {room} wasn't sent. {reason}", { room, reason });
}

/** @param {string[]} titles of the rooms @param {string} reason */
export function copiesUnchangedWords(titles, reason) {
  const named = titles.slice(0, MOST_NAMED).map(isolate).join(", ");
  const more = titles.length - MOST_NAMED;
  const rooms =
    more > 0
      ? ngettext("{rooms} and {count} more", "{rooms} and {count} more", more, { rooms: named })
      : named;
  return ngettext(
    "The copy in {rooms}: {reason}",
    "{count} copies ({rooms}): {reason}",
    titles.length,
    { rooms, reason },
  );
}

export const COPIES_UNKNOWN = /* @__PURE__ */ gettext(
  "The copies of this message in other rooms may not have changed. Try again when you're connected.",
);

/** @param {number} count */
export function allRoomsQuestion(count) {
  return ngettext("Address {count} other room?", "Address all {count} other rooms?", count);
}
