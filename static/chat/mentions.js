/** Who is named in a text: the same rule as the server's, in chat/mentions.py. */

const NAME = /(?<![\p{L}\p{N}_.@+-])@([\p{L}\p{N}_.@+-]+)/gu;
const TAIL = /^[.@+-]*$/;

/**
 * A name may be followed by what ends a sentence, and may end in it too.
 * @param {string | null} text
 * @param {string} username
 */
export function isNamed(text, username) {
  if (!text?.includes("@")) return false;
  return [...text.matchAll(NAME)].some(
    ([, name = ""]) => name.startsWith(username) && TAIL.test(name.slice(username.length)),
  );
}
