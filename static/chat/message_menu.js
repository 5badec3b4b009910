/** What can be done with a message. */

import { MESSAGE } from "./protocol.js";

/** @import {Item} from "./menu.js" */
/** @import {Message} from "./room_log.js" */

/** Without a clipboard (plain http) nothing can be copied. @typedef {{edit: () => void, markUnread: () => void, remove: () => void, copyText: (() => void) | undefined, copyLink: (() => void) | undefined}} Acts */

/**
 * Nothing is offered that would do nothing, or that the server would refuse.
 * @param {Message} message
 * @param {{username: string, staff: boolean}} user
 * @param {Acts} acts
 * @returns {Item[]}
 */
export function messageItems(
  { username, deleted, type },
  user,
  { edit, markUnread, remove, copyText, copyLink },
) {
  if (deleted) return [];
  const isOwn = username === user.username;
  /** @type {Item[]} */
  const items = [];
  if (isOwn && type === MESSAGE) items.push({ label: "Edit", act: edit });
  if (copyText) items.push({ label: "Copy text", act: copyText });
  if (copyLink) items.push({ label: "Copy link", act: copyLink });
  if (!isOwn) items.push({ label: "Mark as unread", act: markUnread });
  if (isOwn || user.staff) items.push({ label: "Delete", act: remove });
  return items;
}
