/** Whose a message is: decided by the user's id, because a name can change and be given to another user. */

/** The reader. @typedef {{id: number, username: string}} Me */

/**
 * What the system posted has no author.
 * @param {{user?: number | undefined}} message
 * @param {{id: number}} me
 */
export function isOwn({ user }, { id }) {
  return user === id;
}
