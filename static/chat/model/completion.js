/** Completes what is typed at the caret: `@` a person, `#` a room, `:` an emoji. */

import { gettext, LOCALE } from "./language.js";
import { PART_OF_WORD, rank } from "./match.js";
import { CALLS } from "./mentions.js";
import { shownNames } from "./names.js";

/** @import {Emoji} from "./emoji.js" */

/** `typed`: what follows the sign; `start`: where the sign is. @typedef {{sign: "@" | "#" | ":", typed: string, start: number}} Word */
/** What can be put in place of a word. `label`: its name; `hint`: what is shown before it; `isHere`, `about`: of a person, and the name by which they are shown; `note`: what it means. @typedef {{label: string, text: string, hint?: string, isHere?: boolean, about?: string, note?: string}} Choice */
/**
 * Where choices come from. `findPeople`: those who may enter the room; `present`: those who are in it;
 * `mayCall`: the reader may mention all of them.
 * @typedef {{me: {username: string}, present: () => Iterable<string>, rooms: () => Iterable<{title: string}>, findPeople: (typed: string) => Promise<string[]>, mayCall: () => boolean, findEmoji: (typed: string, most: number) => Promise<Emoji[]>}} Source
 */

/** What CALLS mean, in the same order. */
const CALL_NOTES = [gettext("everybody who is here"), gettext("everybody in the room")];

/** The most choices that are shown, and the longest word that is completed. */
export const MAX_CHOICES = 8;
const MAX_WORD = 60;

/**
 * Each sign begins a word: after it stand the characters that names have, and before it stands none of them, so that
 * addresses, times and links are not completed. One letter after a colon is more often a smiley than an emoji's name.
 * @type {RegExp[]}
 */
const WORDS = [
  /(?<![\p{L}\p{N}_.@+-])(@)([\p{L}\p{N}\p{M}_.@+-]*)$/u,
  /(?<![^\s(])(#)([\p{L}\p{N}\p{M}_./-]*)$/u,
  /(?<![^\s(])(:)([\p{L}\p{N}_+-]{2,})$/u,
];

/**
 * Return the word at the caret that can be completed.
 * @param {string} text
 * @param {number} caret
 * @returns {Word | null}
 */
export function wordAt(text, caret) {
  const before = text.slice(Math.max(0, caret - MAX_WORD - 1), caret);
  for (const pattern of WORDS) {
    const found = pattern.exec(before);
    if (found === null) continue;
    const [whole, sign, typed = ""] = found;
    if (typed.length > MAX_WORD - 1) return null;
    return { sign: /** @type {Word["sign"]} */ (sign), typed, start: caret - whole.length };
  }
  return null;
}

/** @param {Word} word @param {Source} source @returns {Promise<Choice[]>} */
export async function findChoices({ sign, typed }, source) {
  const { present, rooms, findPeople, mayCall, findEmoji } = source;
  const me = source.me.username;
  if (sign === "#") return roomChoices(typed, rooms());
  if (sign === "@") {
    const others = await findPeople(typed);
    const shown = (/** @type {string} */ name) => shownNames.of(name);
    return peopleChoices(typed, { here: present(), others, me, mayCall: mayCall(), shown });
  }
  const found = await findEmoji(typed, MAX_CHOICES);
  return found.map(({ emoji, shortNames, name }) => ({
    label:
      shortNames.find((short) => short.startsWith(typed.toLowerCase())) ?? shortNames[0] ?? name,
    text: emoji,
    hint: emoji,
  }));
}

/** Names without regard to case and to the spelling of a character. @param {string} name */
export function fold(name) {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC");
}

/**
 * The people whose names begin like what was typed: those who are here first, and the reader after the others here.
 * @param {string} typed
 * @param {{here: Iterable<string>, others: string[], me: string, mayCall?: boolean, shown?: (username: string) => string}} people `shown` returns the name by which a user is shown
 * @returns {Choice[]}
 */
export function peopleChoices(
  typed,
  { here, others, me, mayCall = false, shown = (name) => name },
) {
  const key = fold(typed);
  const present = [...here].sort(
    (a, b) => Number(a === me) - Number(b === me) || a.localeCompare(b, LOCALE),
  );
  const names = [...new Set([...present, ...others])].filter((name) =>
    [name, shown(name)].some((spelling) => fold(spelling).startsWith(key)),
  );
  const isHere = new Set(present);
  const calls = CALLS.map((name, index) => ({ name, note: CALL_NOTES[index] ?? "" })).filter(
    ({ name }) => mayCall && name.startsWith(key),
  );
  // There is always a place for them, after the people.
  const people = names.slice(0, MAX_CHOICES - calls.length).map((name) => ({
    label: name,
    text: `@${name}`,
    isHere: isHere.has(name),
    ...(shown(name) !== name && { about: shown(name) }),
  }));
  return [...people, ...calls.map(({ name, note }) => ({ label: name, text: `@${name}`, note }))];
}

/**
 * The rooms whose title, a word of it, or its initials begin like what was typed. Titles that begin so come first. A part
 * of a word is no choice, because Enter would put it in place of what was meant as a number or a tag.
 * @param {string} typed
 * @param {Iterable<{title: string}>} rooms
 * @returns {Choice[]}
 */
export function roomChoices(typed, rooms) {
  return [...rooms]
    .map(({ title }) => ({ title, at: rank(title, typed) ?? PART_OF_WORD }))
    .filter(({ at }) => at < PART_OF_WORD)
    .sort((a, b) => a.at - b.at || a.title.localeCompare(b.title, LOCALE))
    .slice(0, MAX_CHOICES)
    .map(({ title }) => ({ label: title, text: `#${title}` }));
}

/**
 * Whether the first choice is chosen by Enter at once. What is typed completely is sent by Enter, so nothing is chosen.
 * @param {Word} word
 * @param {Choice[]} choices
 */
export function isComplete(word, choices) {
  return choices.some(({ label }) => fold(label) === fold(word.typed));
}
