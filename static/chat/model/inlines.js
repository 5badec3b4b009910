/**
 * Finds what is marked within a paragraph: links, `code`, **bold**, *italic* and ~~strike~~. The rules for * and _ are
 * CommonMark's, with three differences that code in a sentence needs: `__init__` and `2*3*4` stay as typed, and so does
 * a backslash. Each sign takes one of a budget. With none left the text stays as typed, so no text costs much.
 */

import { addressOf, findLinks } from "./links.js";

/** @import {Budget} from "./links.js" */

/** @typedef {{kind: "code", text: string}} Code */
/** `typed`: the address as it was typed; else `nodes` is the text of [text](address). @typedef {{kind: "link", address: string, typed?: string, nodes?: Inline[]}} Link */
/** @typedef {{kind: "strong" | "em" | "strike", nodes: Inline[]}} Emphasis */
/** @typedef {string | Code | Link | Emphasis} Inline */

/** A run of * _ or ~. Of each match it keeps how it closes and opens, innermost first. @typedef {{sign: string, left: number, length: number, opens: boolean, closes: boolean, closing: Emphasis["kind"][], opening: Emphasis["kind"][]}} Run */
/** An opening bracket. @typedef {{bracket: string}} Bracket */
/** @typedef {Inline | Run | Bracket} Token */

const SPECIAL = /[\\`*_~[\]<]/g;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/iy;
const DESTINATION =
  /\((?:<([^\s<>]{1,2000})>|([^\s()<>]{1,2000}(?:\([^\s()<>]{0,2000}\)[^\s()<>]{0,2000}){0,8}))\)/y;
const WORD = /[A-Za-z0-9]/;
/** More runs of backticks than any budget reads. */
const MAX_TICKS = 1_200;
/** Emphasis is nested at most this deep. Deeper is no sentence, and the paragraph stays as typed. */
const MAX_DEPTH = 12;

/** @param {string} text @param {Budget} budget @returns {Inline[]} */
export function parseInlines(text, budget) {
  const { tokens } = new Tokens(text, budget);
  return (budget.left < 0 ? null : nested(tokens)) ?? [text];
}

/** Splits a paragraph into texts, code, links, and runs of signs that may turn into emphasis. */
class Tokens {
  /** @type {Token[]} */
  tokens = [];
  #text;
  #links;
  /** Where the text that is not yet in a token begins. */
  #from = 0;
  /** The places of opening brackets in the tokens; -1 for an image's, which is none. @type {number[]} */
  #brackets = [];
  /** The places of runs of backticks, by their lengths, in order. @type {Map<number, number[]> | undefined} */
  #ticks;

  /** @param {string} text @param {Budget} budget */
  constructor(text, budget) {
    this.#text = text;
    this.#links = findLinks(text, budget);
    this.#read(budget);
  }

  /** @param {Budget} budget */
  #read(budget) {
    let at = 0;
    let link = this.#links.shift();
    while (at < this.#text.length && budget.left >= 0) {
      budget.left -= 1;
      while (link && link.start < at) link = this.#links.shift();
      SPECIAL.lastIndex = at;
      const next = SPECIAL.exec(this.#text)?.index ?? this.#text.length;
      // An address may contain signs, so it goes first.
      if (link && link.start <= next) {
        const typed = this.#text.slice(link.start, link.end);
        at = this.#put({ kind: "link", address: link.address, typed }, link.start, link.end);
      } else if (next < this.#text.length) at = this.#readSign(next);
      else break;
    }
    this.#put(null, this.#text.length, this.#text.length);
  }

  /** Put a token after the text before it. @param {Token | null} token @param {number} start @param {number} end */
  #put(token, start, end) {
    if (start > this.#from) this.tokens.push(this.#text.slice(this.#from, start));
    if (token !== null) this.tokens.push(token);
    this.#from = end;
    return end;
  }

  /** @param {number} at @returns {number} where to read on */
  #readSign(at) {
    const sign = this.#text.charAt(at);
    if (sign === "\\") return at + 2; // the next sign is meant as typed
    if (sign === "`") return this.#readCode(at);
    if (sign === "<") return this.#readAutolink(at);
    if (sign === "[") return this.#readBracket(at);
    if (sign === "]") return this.#readLabelEnd(at);
    return this.#readRun(at, sign);
  }

  /** @param {number} at */
  #readCode(at) {
    const length = runLength(this.#text, at);
    this.#ticks ??= ticksOf(this.#text);
    const places = this.#ticks.get(length) ?? [];
    while (places.length && (places[0] ?? 0) <= at) places.shift();
    const end = places[0];
    if (end === undefined) return at + length;
    const text = this.#text.slice(at + length, end);
    if (!text.trim()) return at + length;
    const isPadded = text.startsWith(" ") && text.endsWith(" ");
    return this.#put({ kind: "code", text: isPadded ? text.slice(1, -1) : text }, at, end + length);
  }

  /** @param {number} at */
  #readAutolink(at) {
    AUTOLINK.lastIndex = at;
    const typed = AUTOLINK.exec(this.#text)?.[1];
    const address = typed && addressOf(typed);
    if (!address) return at + 1;
    return this.#put({ kind: "link", address, typed }, at, at + typed.length + 2);
  }

  /** @param {number} at */
  #readBracket(at) {
    const isImage = this.#text.charAt(at - 1) === "!";
    const end = this.#put({ bracket: "[" }, at, at + 1);
    this.#brackets.push(isImage ? -1 : this.tokens.length - 1);
    return end;
  }

  /** @param {number} at */
  #readLabelEnd(at) {
    const open = this.#brackets.pop();
    DESTINATION.lastIndex = at + 1;
    const match = open === undefined || open < 0 ? null : DESTINATION.exec(this.#text);
    const address = match && addressOf(match[1] ?? match[2] ?? "");
    if (!match || !address || open === undefined) return at + 1;
    this.#put(null, at, at);
    const nodes = nested(this.tokens.splice(open).slice(1).map(withoutLink));
    if (nodes?.length) this.tokens.push({ kind: "link", address, nodes });
    else this.#from -= 1; // "[](address)" stays as typed
    if (!nodes?.length) return at + 1;
    this.#brackets = []; // no link contains another
    this.#from = at + 1 + match[0].length;
    return this.#from;
  }

  /** @param {number} at @param {string} sign */
  #readRun(at, sign) {
    const length = runLength(this.#text, at);
    const isEmphasis = sign === "*" || (sign === "_" ? length === 1 : length === 2);
    if (!isEmphasis) return at + length;
    const before = lastOf(this.#text.slice(Math.max(0, at - 2), at));
    const after = String.fromCodePoint(this.#text.codePointAt(at + length) ?? 0x20);
    const [opens, closes] = flanks(sign, length, before, after);
    if (!opens && !closes) return at + length;
    const run = { sign, left: length, length, opens, closes, closing: [], opening: [] };
    return this.#put(run, at, at + length);
  }
}

/**
 * Whether a run of signs can open and close emphasis, by CommonMark's rule for what stands on each side of it.
 * @param {string} sign @param {number} length @param {string} before @param {string} after
 * @returns {[boolean, boolean]}
 */
function flanks(sign, length, before, after) {
  const isLeft = isFlank(after, before);
  const isRight = isFlank(before, after);
  if (sign === "_")
    return [isLeft && (!isRight || isSign(before)), isRight && (!isLeft || isSign(after))];
  // 2*3*4 and a glob in a path are no emphasis.
  if (sign === "*" && length === 1 && WORD.test(before) && WORD.test(after)) return [false, false];
  return [isLeft, isRight];
}

/** @param {string} inside @param {string} outside */
function isFlank(inside, outside) {
  return !/\s/.test(inside) && (!isSign(inside) || /\s/.test(outside) || isSign(outside));
}

/** @param {string} character */
function isSign(character) {
  return /[\p{P}\p{S}]/u.test(character);
}

/** The last character of a text, or a space. @param {string} text */
function lastOf(text) {
  return [...text].at(-1) ?? " ";
}

/** @param {string} text @param {number} at */
function runLength(text, at) {
  let end = at + 1;
  while (text.charCodeAt(end) === text.charCodeAt(at)) end += 1;
  return end - at;
}

/** @param {string} text */
function ticksOf(text) {
  /** @type {Map<number, number[]>} */
  const places = new Map();
  let count = 0;
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    count += 1;
    if (count > MAX_TICKS) break;
    const same = places.get(run.length);
    if (same) same.push(index);
    else places.set(run.length, [index]);
  }
  return places;
}

/** The text of a link contains no link. @param {Token} token @returns {Token} */
function withoutLink(token) {
  if (typeof token === "string" || !("kind" in token) || token.kind !== "link") return token;
  return token.typed ?? "";
}

/**
 * Turn a paragraph's tokens into nodes.
 * @param {Token[]} tokens
 * @returns {Inline[] | null} null when they are nested too deep
 */
function nested(tokens) {
  matchRuns(tokens.filter((token) => typeof token !== "string" && "left" in token));
  const open = [/** @type {Inline[]} */ ([])];
  const nodes = () => /** @type {Inline[]} */ (open.at(-1));
  for (const token of tokens) {
    if (typeof token === "string") addText(nodes(), token);
    else if ("bracket" in token) addText(nodes(), token.bracket);
    else if ("kind" in token) nodes().push(token);
    else {
      for (const _ of token.closing) open.pop();
      if (token.left) addText(nodes(), token.sign.repeat(token.left));
      for (const kind of token.opening.toReversed()) {
        /** @type {Emphasis} */
        const emphasis = { kind, nodes: [] };
        nodes().push(emphasis);
        open.push(emphasis.nodes);
      }
      if (open.length > MAX_DEPTH) return null;
    }
  }
  return nodes();
}

/** @param {Inline[]} nodes @param {string} text */
function addText(nodes, text) {
  const last = nodes.at(-1);
  if (typeof last === "string") nodes[nodes.length - 1] = last + text;
  else if (text) nodes.push(text);
}

/** Match the runs that close emphasis with those that open it, innermost first. @param {Token[]} tokens */
function matchRuns(tokens) {
  const runs = /** @type {Run[]} */ (tokens);
  /** Runs that may open, and their places. @type {{run: Run, at: number}[]} */
  const openers = [];
  /** Below which place no opener fits, for each kind of closer: what was searched once is not searched again. @type {Map<string, number>} */
  const floors = new Map();
  for (const [at, run] of runs.entries()) {
    while (run.closes && run.left) {
      const key = `${run.sign}${run.opens}${run.length % 3}`;
      const index = openers.findLastIndex(
        (opener) => opener.at <= (floors.get(key) ?? -1) || fits(opener.run, run),
      );
      const opener = openers[index];
      if (!opener || opener.at <= (floors.get(key) ?? -1)) {
        floors.set(key, openers.at(-1)?.at ?? -1);
        break;
      }
      openers.length = index + 1;
      const size = run.sign === "~" || Math.min(run.left, opener.run.left) > 1 ? 2 : 1;
      const kind = run.sign === "~" ? "strike" : size === 2 ? "strong" : "em";
      run.closing.push(kind);
      opener.run.opening.push(kind);
      run.left -= size;
      opener.run.left -= size;
      if (!opener.run.left) openers.pop();
    }
    if (run.opens && run.left) openers.push({ run, at });
  }
}

/** CommonMark's rule of three: `**a*b**` is not `*`, `*a`, `b**`. @param {Run} opener @param {Run} closer */
function fits(opener, closer) {
  if (opener.sign !== closer.sign) return false;
  const isEither = opener.closes || closer.opens;
  const isThird = opener.length % 3 === 0 && closer.length % 3 === 0;
  return !isEither || isThird || (opener.length + closer.length) % 3 !== 0;
}
