/** Finds the users that a message mentions, by the same rule as the server's in chat/store/mentions.py. */

const NAME = /(?<![\p{L}\p{N}_.@+-])@([\p{L}\p{N}_.@+-]+)/gu;
/** Limits, as on the server: of punctuation after a name, of a name's length, and of the names in a message. */
const MAX_TAIL = 3;
const MAX_LENGTH = 150;
const MAX_NAMES = 50;

/**
 * Whether a message mentions a user. Punctuation after a name may end the sentence or belong to the name.
 * @param {string | null} text
 * @param {string} username
 */
export function isNamed(text, username) {
  return text?.includes("@") === true && namesIn(text).has(username);
}

/** The places where a text mentions a user, each with its @. @param {string} text @param {string} username @returns {[number, number][]} */
export function mentionsOf(text, username) {
  if (!username || !text.includes("@")) return [];
  /** @type {[number, number][]} */
  const places = [];
  for (const { 1: run = "", index } of text.matchAll(NAME))
    if ([...spellings(run)].includes(username)) places.push([index, index + 1 + username.length]);
  return places;
}

/** @param {string} text */
function namesIn(text) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const [, run = ""] of text.matchAll(NAME)) {
    for (const name of spellings(run)) {
      names.add(name);
      if (names.size === MAX_NAMES) return names;
    }
  }
  return names;
}

/** @param {string} run */
function* spellings(run) {
  for (let cut = 0; cut <= MAX_TAIL && cut < run.length; cut += 1) {
    if (cut && !".@+-".includes(run.charAt(run.length - cut))) return;
    const name = run.slice(0, run.length - cut);
    if ([...name].length <= MAX_LENGTH) yield name;
  }
}
