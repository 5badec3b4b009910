/** The emoji that can be chosen, by group, and their names: the data of emoji.json, searched. */

/** `words`: what it is found by, the short names first. @typedef {{emoji: string, name: string, shortNames: string[], words: string[]}} Emoji */
/** @typedef {{name: string, emoji: Emoji[]}} Group */
/** The file: each emoji with its name, its words, and how many of these are short names. @typedef {{groups: {name: string, emoji: [string, string, string, number][]}[]}} EmojiFile */

/** How many of the emoji that the user chose last are kept. */
const MAX_RECENT = 24;

export class EmojiData {
  /** @type {Group[]} */
  groups;
  #byEmoji;

  /** @param {EmojiFile} file */
  constructor({ groups }) {
    this.groups = groups.map(({ name, emoji }) => ({ name, emoji: emoji.map(read) }));
    this.#byEmoji = new Map(this.#all.map((item) => [item.emoji, item]));
  }

  get #all() {
    return this.groups.flatMap(({ emoji }) => emoji);
  }

  /** @param {string[]} emoji @returns {Emoji[]} those that are known */
  named(emoji) {
    return emoji.flatMap((text) => this.#byEmoji.get(text) ?? []);
  }

  /**
   * Find emoji by the beginnings of words. Those whose short name begins like the text come first, the shortest first.
   * @param {string} text
   * @param {number} most
   * @returns {Emoji[]}
   */
  search(text, most) {
    const typed = text.trim().toLowerCase();
    const parts = typed.split(/[\s_]+/).filter(Boolean);
    if (parts.length === 0) return [];
    const found = this.#all.filter(({ words }) =>
      parts.every((part) => words.some((word) => word.startsWith(part))),
    );
    const length = (/** @type {Emoji} */ { shortNames }) =>
      Math.min(...shortNames.filter((name) => name.startsWith(typed)).map((name) => name.length));
    const lengths = new Map(found.map((item) => [item, length(item)]));
    const by = (/** @type {Emoji} */ item) => lengths.get(item) ?? Number.POSITIVE_INFINITY;
    // Subtracting would give NaN for two without such a name.
    found.sort((a, b) => (by(a) === by(b) ? 0 : by(a) < by(b) ? -1 : 1));
    return found.slice(0, most);
  }
}

/** @param {[string, string, string, number]} line @returns {Emoji} */
function read([emoji, name, line, count]) {
  const words = line.split(" ");
  const shortNames = words.slice(0, count);
  const parts = [
    ...shortNames.flatMap((word) => word.split("_")),
    ...name.toLowerCase().split(" "),
  ];
  return { emoji, name, shortNames, words: [...words, ...parts] };
}

/**
 * Put an emoji that was chosen before the ones chosen earlier.
 * @param {string[]} recent
 * @param {string} emoji
 */
export function withRecent(recent, emoji) {
  return [emoji, ...recent.filter((other) => other !== emoji)].slice(0, MAX_RECENT);
}
