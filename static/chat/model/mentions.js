/** Who is named in a text: the same rule as the server's, in chat/store/mentions.py. */

const NAME = /(?<![\p{L}\p{N}_.@+-])@([\p{L}\p{N}_.@+-]+)/gu;
/** What ends a sentence is at most so long, a name has at most so many characters, and a message names at most so many. */
const MOST_TAIL = 3;
const MAX_LENGTH = 150;
const MOST_NAMES = 50;

/**
 * A name may be followed by what ends a sentence, and may end in it too.
 * @param {string | null} text
 * @param {string} username
 */
export function isNamed(text, username) {
  return text?.includes("@") === true && namesIn(text).has(username);
}

/** @param {string} text */
function namesIn(text) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const [, run = ""] of text.matchAll(NAME)) {
    for (const name of spellings(run)) {
      names.add(name);
      if (names.size === MOST_NAMES) return names;
    }
  }
  return names;
}

/** @param {string} run */
function* spellings(run) {
  for (let cut = 0; cut <= MOST_TAIL && cut < run.length; cut += 1) {
    if (cut && !".@+-".includes(run.charAt(run.length - cut))) return;
    const name = run.slice(0, run.length - cut);
    if ([...name].length <= MAX_LENGTH) yield name;
  }
}
