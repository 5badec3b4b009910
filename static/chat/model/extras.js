/** What a message that is being written has besides its text: the message that it answers. */

/** `replyTo`: the seq of a message of the same room. @typedef {{replyTo?: number}} Extras */

/** @param {Extras | null | undefined} a @param {Extras | null | undefined} b */
export function sameExtras(a, b) {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
