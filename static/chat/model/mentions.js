/** Finds the names that a message mentions, by the same rule as the server's in chat/store/mentions.py. */

/** An accent may be a character of its own. */
const NAME = /(?<![\p{L}\p{N}\p{M}_.@+-])@([\p{L}\p{N}\p{M}_.@+-]+)/gu;
/** Limits, as on the server: of punctuation after a name, of a name's length, and of the names in a message. */
const MAX_TAIL = 3;
const MAX_LENGTH = 150;
const MAX_NAMES = 50;

/** The names of a mention of all users of a room. */
export const CALLS = ["here", "all"];

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LINK = /\[[^[\]\n]*\]\([^()\s]*\)|(?:https?:\/\/|mailto:|www\.)\S+/gi;

/**
 * Whether a message mentions a user, without regard to case and to how accents are written. Punctuation after a name
 * may end the sentence or belong to the name. Code and links mention nobody.
 * @param {string | null} text
 * @param {string} username
 */
export function isNamed(text, username) {
  if (!text?.includes("@")) return false;
  const key = nameKey(username);
  return namesIn(text).some((name) => nameKey(name) === key);
}

/** The same for names that differ only in case or composition, as chat.names.name_key. @param {string} name */
export function nameKey(name) {
  const folded = name.normalize("NFKC").toUpperCase().toLowerCase().replaceAll("ς", "σ");
  return folded.normalize("NFKC");
}

/**
 * The places where a text mentions somebody, each with its @, and whether it mentions the reader.
 * @param {string} text without code and links
 * @param {Map<string, boolean>} names by their keys: whether it is the reader's
 * @returns {[number, number, boolean][]}
 */
export function marksOf(text, names) {
  if (!names.size || !text.includes("@")) return [];
  /** @type {[number, number, boolean][]} */
  const places = [];
  for (const { 1: run = "", index } of text.matchAll(NAME)) {
    const found = [...spellings(run)].filter((name) => names.has(nameKey(name)));
    // Punctuation after a name may be part of it, so a run may be two users' names. The reader's counts first.
    const name = found.find((each) => names.get(nameKey(each))) ?? found[0];
    if (name !== undefined)
      places.push([index, index + 1 + name.length, names.get(nameKey(name)) === true]);
    if (places.length === MAX_NAMES) break;
  }
  return places;
}

/** @param {string} text */
export function namesIn(text) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const [, run = ""] of withoutCodeAndLinks(text).matchAll(NAME)) {
    for (const name of spellings(run)) {
      names.add(name);
      if (names.size === MAX_NAMES) return [...names];
    }
  }
  return [...names];
}

/** @param {string} run */
function* spellings(run) {
  for (let cut = 0; cut <= MAX_TAIL && cut < run.length; cut += 1) {
    if (cut && !".@+-".includes(run.charAt(run.length - cut))) return;
    const name = run.slice(0, run.length - cut);
    if ([...name].length <= MAX_LENGTH) yield name;
  }
}

/** @param {string} text */
function withoutCodeAndLinks(text) {
  const hasCode = text.includes("`") || text.includes("~~~");
  return (hasCode ? withoutCodeSpans(withoutFences(text)) : text).replace(LINK, " ");
}

/** @param {string} text */
function withoutFences(text) {
  const kept = [];
  let fence = "";
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1] ?? "";
    if (fence) {
      const rest = line.trim().replaceAll(fence.charAt(0), "");
      if (mark.startsWith(fence) && !rest) fence = "";
    } else if (mark && !(mark.startsWith("`") && line.trimStart().slice(mark.length).includes("`")))
      fence = mark;
    else kept.push(line);
  }
  return kept.join("\n");
}

/** Remove what stands between two runs of backticks of the same length. @param {string} text */
function withoutCodeSpans(text) {
  const runs = [...text.matchAll(/`+/g)].map(({ index, 0: run }) => ({
    start: index,
    length: run.length,
  }));
  /** The next run of the same length. @type {Map<number, number>} */
  const last = new Map();
  const next = runs.map(() => -1);
  for (let index = runs.length - 1; index >= 0; index -= 1) {
    const { length } = /** @type {{length: number}} */ (runs[index]);
    next[index] = last.get(length) ?? -1;
    last.set(length, index);
  }
  let kept = "";
  let position = 0;
  for (let index = 0; index < runs.length; index += 1) {
    const end = next[index] ?? -1;
    const opening = runs[index];
    const closing = runs[end];
    if (!opening || !closing) continue;
    kept += `${text.slice(position, opening.start)} `;
    position = closing.start + closing.length;
    index = end;
  }
  return kept + text.slice(position);
}
