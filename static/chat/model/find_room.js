/** Finds a room by its title: in the list, otherwise by asking the server, which knows newer rooms. */

import { gettext } from "./language.js";
import { withoutSign } from "./match.js";

/** @import {Room} from "./protocol.js" */

/**
 * Find the room of this title, without regard to case and to a `#` before it.
 * @param {string} title
 * @param {Iterable<Room>} rooms those in the list
 * @returns {Promise<Room | string>} a sentence if there is no such room
 */
export async function findRoom(title, rooms) {
  const name = withoutSign(title) || title;
  const known = [...rooms];
  for (const key of [title, name].map(fold)) {
    const found = known.find((room) => fold(room.title) === key);
    if (found) return found;
  }
  const answer = await ask(title);
  return typeof answer === "string" && name !== title ? ask(name) : answer;
}

/** @param {string} title */
function fold(title) {
  return title.normalize("NFC").toLowerCase();
}

/**
 * @param {string} title
 * @returns {Promise<Room | string>}
 */
async function ask(title) {
  const none = gettext("There is no room called “{room}”.", { room: title });
  try {
    const answer = await fetch(`/chat/${encodeURIComponent(title)}/`, {
      headers: { Accept: "application/json" },
    });
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json") ?? false;
    return answer.ok && isJson ? await answer.json() : none;
  } catch {
    return gettext("The server isn't responding. You can still open rooms from the list.");
  }
}
