/** The users who have confirmed an alert: a join frame or a page of history names them, and events add to them. */

/** @import {Confirmations, Confirmed, Person} from "./protocol.js" */

/** `own`: the reader has confirmed it; `users`: some of those who have. @typedef {{count: number, users: Person[], own: boolean}} Confirmation */

/** As many users are named as by the server (chat/store/confirmations.py). */
const MOST_USERS = 50;

/** @param {Confirmations} [confirmations] @returns {Confirmation} */
export function confirmationsOf({ count, users, own = false } = { count: 0, users: [] }) {
  return { count, users, own };
}

/**
 * @param {Confirmation} confirmation
 * @param {Confirmed} event
 * @param {number | undefined} me the reader's id
 * @returns {Confirmation}
 */
export function withConfirmation({ count, users, own }, { user, username }, me) {
  const person = { username, ...(user !== undefined && { user }) };
  return {
    count: count + 1,
    users: [...users, person].slice(0, MOST_USERS),
    own: own || (user === me && user !== undefined),
  };
}
