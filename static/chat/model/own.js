/** Whose a message is: decided by the user's id, because a name can change and be given to another user. */

import { isNamed } from "./mentions.js";

/** The reader; `since` is when their account was made. @typedef {{id: number, username: string, since?: string}} Me */

/**
 * What the system posted has no author.
 * @param {{user?: number | undefined}} message
 * @param {{id: number}} me
 */
export function isOwn({ user }, { id }) {
  return user === id;
}

/**
 * Whether a message of somebody else names the reader. What is older than their account meant another user, who had the name.
 * @param {{user?: number | undefined, text: string | null, at: string}} message
 * @param {Me} me
 */
export function isForMe(message, me) {
  const isOlder = me.since !== undefined && message.at < me.since;
  return !isOlder && !isOwn(message, me) && isNamed(message.text, me.username);
}
