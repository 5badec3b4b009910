/** Lists what can be done with a message. */

import { gettext } from "./language.js";
import { isOwn } from "./own.js";
import { ALERT, MESSAGE } from "./protocol.js";

/** @import {Message} from "./room_log.js" */

/** An item of a menu. @typedef {{label: string, act: () => void}} Item */

/** Over plain HTTP there is no clipboard, so nothing can be copied. @typedef {{reply: () => void, react: () => void, edit: () => void, markUnread: () => void, remove: () => void, resolve: () => void, showWho: (confirmed: boolean) => void, sameMoment: (() => void) | undefined, quote: (() => void) | undefined, copyText: (() => void) | undefined, copyMarkdown: (() => void) | undefined, copyLink: (() => void) | undefined}} Actions */

/**
 * Leave out what would have no effect, and what the server would refuse.
 * @param {Message} message
 * @param {{id: number, staff: boolean, isArchived: boolean}} reader `isArchived`: nobody may write in the room
 * @param {Actions} actions
 * @returns {Item[]}
 */
export function messageItems(message, reader, actions) {
  if (message.deleted) return [];
  const { reply, react, edit, markUnread, remove, resolve, sameMoment, quote } = actions;
  const { copyText, copyMarkdown, copyLink } = actions;
  const isAuthor = isOwn(message, reader);
  /** @type {Item[]} */
  const items = [];
  const mayWrite = !reader.isArchived;
  if (mayWrite)
    items.push(
      { label: gettext("Reply"), act: reply },
      { label: gettext("Add reaction"), act: react },
    );
  if (mayWrite && isAuthor && message.type === MESSAGE)
    items.push({ label: gettext("Edit"), act: edit });
  if (sameMoment) items.push({ label: gettext("Same moment"), act: sameMoment });
  if (quote) items.push({ label: gettext("Quote in another room"), act: quote });
  if (copyText) items.push({ label: gettext("Copy text"), act: copyText });
  if (copyMarkdown) items.push({ label: gettext("Copy as Markdown"), act: copyMarkdown });
  if (copyLink) items.push({ label: gettext("Copy link"), act: copyLink });
  if (!isAuthor) items.push({ label: gettext("Mark as unread"), act: markUnread });
  const isRunning = message.type === ALERT && message.resolution === null;
  if (message.type === ALERT && message.confirmations.count > 2)
    items.push({ label: gettext("See who has confirmed"), act: () => actions.showWho(true) });
  if (message.type === ALERT && reader.staff)
    items.push({ label: gettext("See who has not confirmed"), act: () => actions.showWho(false) });
  if (mayWrite && isRunning && (isAuthor || reader.staff))
    items.push({ label: gettext("Alert is over"), act: resolve });
  if (mayWrite && (isAuthor || reader.staff)) items.push({ label: gettext("Delete"), act: remove });
  return items;
}
