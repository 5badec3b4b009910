/** Shows a message's text as nodes: its paragraphs, links, code, lists and quotes, with the reader's mentions marked. */

import { copyElement, part } from "../dom/templates.js";
import { hostOf, shorten } from "../model/links.js";
import { marksOf } from "../model/mentions.js";
import { countLines, textOf, typeset } from "../model/typeset.js";

/** @import {Code, Emphasis, Inline, Link} from "../model/inlines.js" */
/** By its key, whether a name is the reader's. @typedef {Map<string, boolean>} Names */
/** @import {Block, Item} from "../model/typeset.js" */

const TAGS = /** @type {const} */ ({ strong: "strong", em: "em", strike: "del" });
/** So many marks on one letter reach over the lines above and below. */
const STACKED = /\p{M}{4}/u;
/** The text that an element shows, so that it keeps its focus and selection when another part of its message changes. @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();

/**
 * Show a text. The element is not of one paragraph any more if it has several, or blocks.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {Names} [names] that it mentions, which are marked
 * @returns {number | undefined} about how many lines it takes; undefined when it is shown already
 */
export function showText(element, text, names = new Map()) {
  const key = JSON.stringify([text, ...names]);
  if (shown.get(element) === key) return undefined;
  shown.set(element, key);
  const blocks = typeset(text);
  const [only] = blocks;
  const line = blocks.length === 1 && only?.kind === "paragraph" ? only.nodes : null;
  element.classList.toggle("blocks", line === null);
  element.parentElement?.classList.toggle("stacked", STACKED.test(text));
  if (line) element.replaceChildren(...inlineNodes(line, names));
  else element.replaceChildren(...blocks.map((block) => blockNode(block, names)));
  return countLines(blocks);
}

/** Show a sentence of ours in place of a text. @param {HTMLElement} element @param {string} sentence */
export function showSentence(element, sentence) {
  shown.delete(element);
  element.classList.remove("blocks");
  element.parentElement?.classList.remove("stacked");
  element.textContent = sentence;
}

/** @param {Block} block @param {Names} names @returns {HTMLElement} */
function blockNode(block, names) {
  if ("text" in block) return preformatted(block.kind, block.text);
  if (block.kind === "list") return listNode(block.items, names);
  if (block.kind === "quote") return filled("blockquote", block.blocks, names);
  const paragraph = document.createElement("p");
  paragraph.dir = "auto";
  paragraph.append(...inlineNodes(block.nodes, names));
  return paragraph;
}

/** @param {"fence" | "table"} kind @param {string} text */
function preformatted(kind, text) {
  const element = copyElement(`${kind}-template`);
  part(element, "code").textContent = text;
  return element;
}

/** @param {Item[]} items @param {Names} names */
function listNode(items, names) {
  const first = items[0]?.number;
  const list = document.createElement(first === undefined ? "ul" : "ol");
  if (list instanceof HTMLOListElement) list.start = first ?? 1;
  for (const { number, blocks } of items) {
    const item = /** @type {HTMLLIElement} */ (filled("li", blocks, names));
    // Numbers stay as typed. If all are the same, their writer left counting to us.
    if (number !== undefined && number !== first) item.value = number;
    list.append(item);
  }
  return list;
}

/** @param {"blockquote" | "li"} tag @param {Block[]} blocks @param {Names} names */
function filled(tag, blocks, names) {
  const element = document.createElement(tag);
  element.dir = "auto";
  element.append(...blocks.map((block) => blockNode(block, names)));
  return element;
}

/** @param {Inline[]} nodes @param {Names} names @returns {(Node | string)[]} */
function inlineNodes(nodes, names) {
  return nodes.flatMap((node) => {
    if (typeof node === "string") return withMentions(node, names);
    return node.kind === "link" ? linkNode(node) : markedNode(node, names);
  });
}

/** @param {Code | Emphasis} node @param {Names} names */
function markedNode(node, names) {
  const element = document.createElement(node.kind === "code" ? "code" : TAGS[node.kind]);
  if (node.kind === "code") element.textContent = node.text;
  else element.append(...inlineNodes(node.nodes, names));
  return element;
}

/** Nobody is led to a host that is not in view. @param {Link} link */
function linkNode({ address, typed, nodes = [] }) {
  const link = document.createElement("a");
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.title = address;
  // A log is one Tab stop: log/keyboard.js puts the links of the focused message into the order.
  link.tabIndex = -1;
  if (typed !== undefined) {
    link.textContent = shorten(typed);
    if (link.textContent === typed) return link;
    link.dataset.typed = typed;
    // The name contains what is in view, because users say that to their computer.
    link.ariaLabel = `${typed} – ${link.textContent}`;
    return link;
  }
  link.append(...inlineNodes(nodes, new Map()));
  const host = hostOf(address);
  if (textOf(nodes).includes(host)) return link;
  const shownHost = document.createElement("small");
  shownHost.textContent = ` (${host})`;
  link.append(shownHost);
  return link;
}

/** @param {string} text @param {Names} names @returns {(Node | string)[]} */
function withMentions(text, names) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let from = 0;
  for (const [start, end, isMe] of marksOf(text, names)) {
    const mark = document.createElement("mark");
    mark.dir = "auto"; // so that @ and name stay together between letters of the other direction
    mark.classList.toggle("other", !isMe);
    mark.textContent = text.slice(start, end);
    nodes.push(text.slice(from, start), mark);
    from = end;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}
