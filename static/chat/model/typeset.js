/**
 * Turns the text of a message into a small tree: paragraphs, fenced code, quotes, lists and tables. Headings, images,
 * HTML and rules stay as typed. A text without any mark stays one paragraph, exactly as typed.
 */

import { parseInlines } from "./inlines.js";

/** @import {Inline} from "./inlines.js" */
/** @import {Budget} from "./links.js" */

/** @typedef {{kind: "paragraph", nodes: Inline[]}} Paragraph */
/** Shown as typed, in a font of one width. @typedef {{kind: "fence" | "table", text: string}} Preformatted */
/** @typedef {{kind: "quote", blocks: Block[]}} Quote */
/** `number`: as typed, of an ordered list. @typedef {{number?: number, blocks: Block[]}} Item */
/** @typedef {{kind: "list", items: Item[]}} List */
/** @typedef {Paragraph | Preformatted | Quote | List} Block */

/** A text without these has no marks: it needs no parser. */
const MARKS = /[`*_~>[@|]|:\/\/|www\.|mailto:|^ {0,3}(?:[-+]|\d{1,9}[.)]) /im;
/** Letters that are written from right to left: each of their paragraphs finds its own direction. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const FENCE = /^ {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)]) {1,4}(?=\S)/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
/** Quotes and lists are nested at most this deep. What is deeper stays as typed. */
const MAX_DEPTH = 4;
/** A text of more signs, or more lines, is no message to be read: it stays as typed, so that none takes 10 ms. */
const MAX_SIGNS = 600;
const MAX_LINES = 1_000;
/** What a block takes of the signs. */
const BLOCK_COST = 3;
/** How many letters of a paragraph fit a line of a usual pane, to guess its height without a layout. */
const LINE_LENGTH = 80;

/** @param {string} text @returns {Block[]} */
export function typeset(text) {
  const lines = MARKS.test(text) ? text.split("\n") : [];
  const budget = { left: MAX_SIGNS };
  const blocks = lines.length && lines.length <= MAX_LINES ? blocksOf(lines, 0, budget) : [];
  const isTypeset = blocks.length > 0 && budget.left >= 0;
  return isTypeset ? blocks : paragraphs(text, (line) => [line]);
}

/** Guess how many lines a text takes. @param {Block[]} blocks @returns {number} */
export function countLines(blocks) {
  let count = 0;
  for (const block of blocks) {
    if (block.kind === "paragraph") count += wrappedLines(textOf(block.nodes));
    else if (block.kind === "quote") count += countLines(block.blocks);
    else if (block.kind === "list")
      for (const item of block.items) count += countLines(item.blocks);
    else count += block.text.split("\n").length;
  }
  return count;
}

/** The text of nodes, as shown. @param {Inline[]} nodes @returns {string} */
export function textOf(nodes) {
  return nodes
    .map((node) => {
      if (typeof node === "string") return node;
      if (node.kind === "code") return node.text;
      return node.kind === "link" ? (node.typed ?? textOf(node.nodes ?? [])) : textOf(node.nodes);
    })
    .join("");
}

/** @param {string} text */
function wrappedLines(text) {
  const lines = text.split("\n");
  return lines.reduce((sum, { length }) => sum + Math.max(1, Math.ceil(length / LINE_LENGTH)), 0);
}

/** @param {string[]} lines @param {number} depth @param {Budget} budget @returns {Block[]} */
function blocksOf(lines, depth, budget) {
  /** @type {Block[]} */
  const blocks = [];
  /** Lines of no other block. @type {string[]} */
  let plain = [];
  const endParagraph = () => {
    // Next to another block its margin stands for empty lines.
    const text = withoutEmptyLines(plain, blocks.length > 0);
    if (text) blocks.push(...paragraphs(text, (line) => parseInlines(line, budget)));
    plain = [];
  };
  for (let at = 0; at < lines.length && budget.left >= 0; ) {
    const isInParagraph = plain.length > 0;
    const [block, end] =
      depth < MAX_DEPTH ? blockAt(lines, at, { depth, isInParagraph, budget }) : [null, at];
    if (block === null) {
      plain.push(lines[at] ?? "");
      at += 1;
      continue;
    }
    while (plain.length && !plain.at(-1)?.trim()) plain.pop();
    endParagraph();
    blocks.push(block);
    budget.left -= BLOCK_COST;
    at = end;
  }
  endParagraph();
  return blocks;
}

/** @param {string[]} lines @param {boolean} isAfterBlock */
function withoutEmptyLines(lines, isAfterBlock) {
  let from = 0;
  while (isAfterBlock && from < lines.length && !lines[from]?.trim()) from += 1;
  return lines.slice(from).join("\n");
}

/**
 * The block that begins at a line, and the line after it.
 * @param {string[]} lines @param {number} at
 * @param {{depth: number, isInParagraph: boolean, budget: Budget}} context
 * @returns {[Block | null, number]}
 */
function blockAt(lines, at, { depth, isInParagraph, budget }) {
  const line = lines[at] ?? "";
  const fence = FENCE.exec(line);
  if (fence) return fenceAt(lines, at, fence[1] ?? fence[2] ?? "");
  if (QUOTE.test(line) && line.replace(QUOTE, "").trim()) {
    const end = endOf(lines, at, (next) => QUOTE.test(next));
    const inside = lines.slice(at, end).map((quoted) => quoted.replace(QUOTE, ""));
    return [{ kind: "quote", blocks: blocksOf(inside, depth + 1, budget) }, end];
  }
  const item = RULE.test(line) ? null : ITEM.exec(line);
  // In a sentence that is broken into lines, "2026." is no item.
  if (item && !(isInParagraph && /^\d/.test(item[2] ?? "") && !/^1[.)]/.test(item[2] ?? "")))
    return listAt(lines, at, depth, budget);
  if (line.includes("|") && isTableRule(lines[at + 1] ?? "")) {
    const end = endOf(lines, at, (next) => next.includes("|"));
    return [{ kind: "table", text: lines.slice(at, end).join("\n") }, end];
  }
  return [null, at];
}

/** @param {string[]} lines @param {number} at @param {string} mark @returns {[Block | null, number]} */
function fenceAt(lines, at, mark) {
  const isEnd = (/** @type {string} */ line) => {
    const run = line.trim();
    return run.length >= mark.length && run === mark.charAt(0).repeat(run.length);
  };
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end] ?? "")) end += 1;
  const text = lines.slice(at + 1, end).join("\n");
  if (!text.trim()) return [null, at];
  return [{ kind: "fence", text }, Math.min(lines.length, end + 1)];
}

/** @param {string[]} lines @param {number} at @param {number} depth @param {Budget} budget @returns {[Block, number]} */
function listAt(lines, at, depth, budget) {
  /** @type {Item[]} */
  const items = [];
  const first = ITEM.exec(lines[at] ?? "");
  const isOrdered = /^\d/.test(first?.[2] ?? "");
  const indent = (first?.[1]?.length ?? 0) + 2;
  let from = at;
  while (from < lines.length && budget.left >= 0) {
    budget.left -= BLOCK_COST;
    const item = RULE.test(lines[from] ?? "") ? null : ITEM.exec(lines[from] ?? "");
    if (!item || /^\d/.test(item[2] ?? "") !== isOrdered) break;
    const end = endOfItem(lines, from + 1, indent);
    const inside = lines.slice(from, end);
    inside[0] = (inside[0] ?? "").slice(item[0].length);
    const shift = inside
      .slice(1)
      .reduce((least, line) => Math.min(least, indentOf(line)), item[0].length);
    const own = inside.map((line, index) => (index ? line.slice(shift) : line));
    const blocks = blocksOf(own, depth + 1, budget);
    items.push(isOrdered ? { number: Number.parseInt(item[2] ?? "1", 10), blocks } : { blocks });
    from = end;
    // Empty lines between items belong to the list.
    const next = endOf(lines, from, (line) => !line.trim());
    if (ITEM.test(lines[next] ?? "") && next - from < 3) from = next;
  }
  return [{ kind: "list", items }, from];
}

/** An item goes on as long as lines are further in than its mark. @param {string[]} lines @param {number} from @param {number} indent */
function endOfItem(lines, from, indent) {
  let end = from;
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const own = indentOf(line);
    if (own === Number.POSITIVE_INFINITY && at - end < 2) continue;
    if (own < indent) break;
    end = at + 1;
  }
  return end;
}

/** @param {string} line */
function indentOf(line) {
  const indent = line.search(/\S/);
  return indent < 0 ? Number.POSITIVE_INFINITY : indent;
}

/** @param {string[]} lines @param {number} from @param {(line: string) => boolean} belongs */
function endOf(lines, from, belongs) {
  let end = from;
  while (end < lines.length && belongs(lines[end] ?? "")) end += 1;
  return end;
}

/** @param {string} line */
function isTableRule(line) {
  return /^[\s|:-]+$/.test(line) && line.includes("|") && line.includes("-");
}

/**
 * A paragraph, or with letters from right to left one for each line.
 * @param {string} text @param {(text: string) => Inline[]} parse
 * @returns {Paragraph[]}
 */
function paragraphs(text, parse) {
  const lines = RIGHT_TO_LEFT.test(text) ? (text.match(/[^\n]*\n+|[^\n]+$/g) ?? [text]) : [text];
  return lines.map((line) => ({ kind: "paragraph", nodes: parse(line) }));
}
