/** The reactions of a message as the page shows them: a page of history has them, and events change them. */

/** @import {Person, Reacted, Reactions} from "./protocol.js" */

/** `own`: the reader gave it too; `users`: some of those who did. @typedef {{emoji: string, count: number, users: Person[], own: boolean}} Reaction */

/** Where the browser keeps what is not acknowledged. @param {number} user */
export function storedAt(user) {
  return `multichat.reactions.${user}.`;
}

/** As many users of an emoji are named as in a page of history (chat/store/reactions.py). */
const MOST_USERS = 10;

/** @param {Reactions[] | undefined} reactions @returns {Reaction[]} */
export function reactionsOf(reactions = []) {
  return reactions.map((reaction) => ({ ...reaction, own: reaction.own === true }));
}

/**
 * Return the reactions after one of them was given or taken back.
 * @param {Reaction[]} reactions
 * @param {Reacted} event
 * @param {number | undefined} me the reader's id
 * @returns {Reaction[]}
 */
export function withReaction(reactions, { emoji, user, username, on }, me) {
  const known = reactions.find((reaction) => reaction.emoji === emoji);
  const { count, users, own } = known ?? { count: 0, users: [], own: false };
  const others = users.filter((person) => person.user !== user || user === undefined);
  const person = { username, ...(user !== undefined && { user }) };
  const changed = {
    emoji,
    count: count + (on ? 1 : -1),
    users: on ? [...others, person].slice(0, MOST_USERS) : others,
    own: user === me && user !== undefined ? on : own,
  };
  if (!known) return on ? [...reactions, changed] : reactions;
  const all = reactions.map((reaction) => (reaction === known ? changed : reaction));
  return all.filter((reaction) => reaction.count > 0);
}
