/** What a message that is being written has besides its text: the message that it answers or quotes, and the other rooms that it goes to. */

/** @import {Room, Source} from "./protocol.js" */

/** `replyTo`: the seq of a message of the same room; `also`: the ids of the other rooms; `all`: all rooms were added at once. @typedef {{replyTo?: number, source?: Source, also?: string[], all?: true}} Extras */

/** @param {Extras | null | undefined} a @param {Extras | null | undefined} b */
export function sameExtras(a, b) {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/**
 * Whether somebody may read the second room who may not read the first. Members of a room can be anybody, so only the
 * rooms for everybody, and those for staff, have readers that are known to be the same.
 * @param {Room | undefined} from undefined: the reader may not enter it any more
 * @param {Room} to
 */
export function isWider(from, to) {
  if (from?.id === to.id) return false;
  if (from === undefined || from.kind) return true;
  return from.staff_only && (!to.staff_only || to.kind !== undefined);
}

/**
 * Find a restricted room whose readers are not all readers of another one.
 * @param {(Room | undefined)[]} from
 * @param {Room[]} to
 * @returns {{narrow: Room | undefined, wide: Room} | null}
 */
export function findWider(from, to) {
  for (const narrow of from)
    for (const wide of to) if (isWider(narrow, wide)) return { narrow, wide };
  return null;
}

/**
 * The client_id of a draft's copy in another room. It follows from the draft's own id, so a draft that two tabs send, or
 * that is sent again after a crash, is posted once in each room.
 * @param {string} draftId a UUID
 * @param {string} room
 */
export function copyId(draftId, room) {
  return draftId.slice(0, -8) + mixed(draftId.slice(-8), Number(room));
}

/** The `across` of a draft's copies. It tells no client_id of another room. @param {string} draftId */
export function acrossOf(draftId) {
  return (
    mixed(draftId.slice(0, 8), 0xffffffff) +
    draftId.slice(8, -8) +
    mixed(draftId.slice(-8), 0x5bd1e995)
  );
}

/** @param {string} digits 8 of base 16 @param {number} number */
function mixed(digits, number) {
  return ((Number.parseInt(digits, 16) ^ number) >>> 0).toString(16).padStart(8, "0");
}
