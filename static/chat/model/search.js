/** Asks the server for messages that contain some words, and finds these words in a message's text. */

import { gettext } from "./language.js";

/** @import {Posted, Room} from "./protocol.js" */

/** What a search found: `rooms` are those of the results, `cursor` leads to the next page, `trouble` is a sentence if it failed. @typedef {{results: Posted[], rooms: Room[], cursor: string | null, trouble: string}} Answer */
/** A part of a text, which may be what was searched for. @typedef {{text: string, isHit: boolean}} Part */

const NO_ANSWER = gettext("The server isn't responding. Try again in a moment.");
/** Words of the query that are no text: from:bob, in:incidents, after:monday, has:link. */
const FILTER = /^(from|in|after|before|has):/i;
const TOKEN = /([a-z]+):"([^"]*)"|"([^"]*)"?|(\S+)/giu;
const QUOTES = /[“”„‟]/g;
/** What makes no difference, as in chat/store/search_text.py: accents, vowel points, and characters that cannot be seen. */
const MARKS = new RegExp(
  "[\\u0300-\\u036f\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7\\u0610-\\u061a\\u0640\\u064b-\\u065f\\u0670" +
    "\\u00ad\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2064\\u2066-\\u2069\\ufe00-\\ufe0f\\ufeff]",
  "gu",
);
/** Letters that do not decompose, and signs that phones write in place of those on a keyboard. @type {Record<string, string>} */
const SAME = {
  ...{ ß: "ss", ς: "σ", ø: "o", ł: "l", đ: "d", æ: "ae", œ: "oe", ı: "i", ð: "d", þ: "th" },
  ...{ "‘": "'", "’": "'", "‚": "'", "‛": "'", ʼ: "'" },
  ...{ "‐": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-" },
};
const SAME_LETTERS = new RegExp(`[${Object.keys(SAME).join("")}]`, "gu");

/**
 * @param {string} query
 * @param {{sort: string, before?: string | null, signal?: AbortSignal}} options
 * @returns {Promise<Answer>}
 */
export async function search(query, { sort, before, signal }) {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const params = new URLSearchParams({ q: query, sort, tz: timeZone });
  if (before) params.set("before", before);
  const none = { results: [], rooms: [], cursor: null };
  try {
    const answer = await fetch(`/search/?${params}`, { signal: signal ?? null });
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json") ?? false;
    if (!isJson) return { ...none, trouble: NO_ANSWER };
    const body = await answer.json();
    return answer.ok ? { ...body, trouble: "" } : { ...none, trouble: body.detail ?? NO_ANSWER };
  } catch {
    return { ...none, trouble: NO_ANSWER };
  }
}

/** The words and phrases of a query, without its filters. @param {string} query */
export function termsOf(query) {
  const terms = [];
  for (const [whole, key, , phrase, word] of query.replace(QUOTES, '"').matchAll(TOKEN)) {
    if (key !== undefined && FILTER.test(whole)) continue;
    const term = phrase ?? word ?? whole;
    if (term.trim() !== "" && !(word !== undefined && FILTER.test(word))) terms.push(term.trim());
  }
  return terms;
}

/**
 * Split a text into the parts that were searched for and the others. Case and accents make no difference.
 * @param {string} text
 * @param {string[]} terms
 * @returns {Part[]}
 */
export function markHits(text, terms) {
  // One folded character may stand for a part of one character of the text, or for none.
  let folded = "";
  /** @type {number[]} */
  const startOf = [];
  let at = 0;
  for (const character of text) {
    const plain = foldWords(character);
    for (let i = 0; i < plain.length; i += 1) startOf.push(at);
    folded += plain;
    at += character.length;
  }
  startOf.push(text.length);
  const isHit = new Uint8Array(folded.length);
  for (const term of terms.map(foldWords).filter(Boolean)) {
    for (let i = folded.indexOf(term); i >= 0; i = folded.indexOf(term, i + term.length))
      isHit.fill(1, i, i + term.length);
  }
  /** @type {Part[]} */
  const parts = [];
  for (let start = 0, end = 0; start < folded.length; start = end) {
    for (end = start + 1; end < folded.length && isHit[end] === isHit[start]; ) end += 1;
    // An accent that follows its letter belongs to the same part.
    parts.push({ text: text.slice(startOf[start], startOf[end]), isHit: isHit[start] === 1 });
  }
  return parts;
}

/** The form in which words are compared, as searchable() in chat/store/search_text.py. @param {string} text */
export function foldWords(text) {
  return text
    .normalize("NFKD")
    .replace(MARKS, "")
    .toLowerCase()
    .replace(QUOTES, '"')
    .replace(SAME_LETTERS, (sign) => SAME[sign] ?? sign);
}

/** The text around the first hit, for a list of results. @param {string} text @param {string[]} terms @param {number} length */
export function excerpt(text, terms, length) {
  const characters = [...text];
  if (characters.length <= length) return text;
  let first = 0;
  for (const { text: piece, isHit } of markHits(text, terms)) {
    if (isHit) break;
    first += [...piece].length;
  }
  const start = first >= characters.length ? 0 : Math.max(0, first - Math.floor(length / 3));
  const piece = characters
    .slice(start, start + length)
    .join("")
    .trim();
  return `${start > 0 ? "…" : ""}${piece}${start + length < characters.length ? "…" : ""}`;
}
