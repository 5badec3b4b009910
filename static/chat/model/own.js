/** Decides whose a message is: by the user's id, because a name can change and be given to another user. */

import { isNamed, nameKey } from "./mentions.js";

/** @import {Mentioned} from "./protocol.js" */

/** The reader; `since` is when their account was made. @typedef {{id: number, username: string, since?: string}} Me */

/**
 * Whether the user wrote the message. Messages of the system have no author.
 * @param {{user?: number | undefined}} message
 * @param {{id: number}} me
 */
export function isOwn({ user }, { id }) {
  return user === id;
}

/**
 * Whether another user's message mentions the reader, or all users. The server says whom it mentions, except of messages from before it did. A message older than the reader's account meant an earlier user of the name.
 * @param {{user?: number | undefined, text: string | null, at: string, mentions?: Mentioned[]}} message
 * @param {Me} me
 */
export function isForMe(message, me) {
  const isOlder = me.since !== undefined && message.at < me.since;
  if (isOlder || isOwn(message, me)) return false;
  const { mentions = [] } = message;
  if (mentions.length) return mentions.some(({ user }) => user === undefined || user === me.id);
  return isNamed(message.text, me.username);
}

/**
 * The names that a message mentions, by their keys, and whether each means the reader. The server says whom a message
 * mentions; of messages from before it did, only the reader's own name is known.
 * @param {Parameters<typeof isForMe>[0]} message
 * @param {Me} me
 * @returns {Map<string, boolean>}
 */
export function namesOf(message, me) {
  const isForReader = isForMe(message, me);
  /** @type {Map<string, boolean>} */
  const names = new Map();
  for (const { name, user } of message.mentions ?? []) {
    const isMe = isForReader && (user === undefined || user === me.id);
    const key = nameKey(name);
    names.set(key, isMe || names.get(key) === true);
  }
  if (isForReader && !names.size) names.set(nameKey(me.username), true);
  return names;
}
