/** Matches typed words against the titles of rooms, without regard to case and accents. */

/** Small letters that are compared as others, although they do not decompose. @type {Record<string, string>} */
const BASES = {
  ß: "ss",
  ς: "σ",
  ø: "o",
  ł: "l",
  đ: "d",
  æ: "ae",
  œ: "oe",
  ı: "i",
  ð: "d",
  þ: "th",
};
const WORD = /[\p{L}\p{N}]+/gu;
/** Titles are folded once. @type {Map<string, Folded>} */
const folded = new Map();
const MOST_FOLDED = 10_000;

/** The rank of a title that has what is typed only within a word. */
export const PART_OF_WORD = 4;

/** @typedef {{text: string, words: string[], initials: string}} Folded */

/** @param {string} text */
export function foldText(text) {
  return text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[ßςøłđæœıðþ]/g, (letter) => BASES[letter] ?? letter);
}

/** @param {string} title @returns {Folded} */
function foldTitle(title) {
  const known = folded.get(title);
  if (known) return known;
  const text = foldText(title);
  const words = text.match(WORD) ?? [];
  const value = { text, words, initials: words.map((word) => [...word][0]).join("") };
  if (folded.size >= MOST_FOLDED) folded.clear();
  folded.set(title, value);
  return value;
}

/**
 * How well a title matches what is typed: 0 is best, null is no match. The whole title, its beginning, the beginnings of
 * its words, its initials, and last a part of a word. A `#` before it, as in a message, changes nothing.
 * @param {string} title
 * @param {string} typed
 */
export function rank(title, typed) {
  const wanted = foldText(typed).trim();
  const name = withoutSign(wanted);
  const ranks = (name === wanted ? [name] : [wanted, name]).map((each) => rankFolded(title, each));
  const found = ranks.filter((at) => at !== null);
  return found.length ? Math.min(...found) : null;
}

/** The title in what is typed: users write `#` before the name of a room. @param {string} typed */
export function withoutSign(typed) {
  return typed.replace(/^#\s*/, "");
}

/** @param {string} title @param {string} wanted folded */
function rankFolded(title, wanted) {
  const { text, words, initials } = foldTitle(title);
  if (wanted === "") return 0;
  if (text === wanted) return 0;
  if (text.startsWith(wanted)) return 1;
  const parts = wanted.match(WORD) ?? [wanted];
  if (parts.every((part) => words.some((word) => word.startsWith(part)))) return 2;
  if (initials.startsWith(wanted.replace(/\s/g, ""))) return 3;
  return text.includes(wanted) ? PART_OF_WORD : null;
}

/**
 * The best matches, the best first. Equal ones keep their order.
 * @template {{title: string}} T
 * @param {Iterable<T>} candidates
 * @param {string} typed
 * @param {number} most
 * @returns {T[]}
 */
export function bestMatches(candidates, typed, most) {
  /** @type {{candidate: T, at: number}[]} */
  const ranked = [];
  for (const candidate of candidates) {
    const at = rank(candidate.title, typed);
    if (at !== null) ranked.push({ candidate, at });
  }
  return ranked
    .sort((a, b) => a.at - b.at)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}
