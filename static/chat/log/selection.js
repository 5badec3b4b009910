/** What is selected in a log: as text to copy, with names and times and nothing else, and as messages. */

import { part } from "../dom/templates.js";
import { addressOf } from "../model/files.js";
import { signature } from "./message.js";

/** @import {FileFacts} from "../model/files.js" */
/** @import {Message} from "../model/room_log.js" */

/** Elements that begin on a line of their own. */
const LINES = "p, pre, li, blockquote, ul, ol, .fence";

/**
 * Put what is selected on the clipboard. A selection that begins or ends outside the log is left to the browser.
 * @param {ClipboardEvent} event
 * @param {HTMLElement} log
 * @param {(element: Element) => Message | undefined} messageAt
 */
export function copySelection(event, log, messageAt) {
  const range = rangeIn(log);
  if (range === null) return;
  const parts = selectedParts(range, log, messageAt);
  const text = parts.map(({ message, text }) => `${signature(message)}\n${text}`).join("\n\n");
  if (!parts.length) return;
  event.clipboardData?.setData("text/plain", parts.length > 1 ? text : (parts[0]?.text ?? ""));
  event.preventDefault();
}

/** The messages in which something is selected. @param {HTMLElement} log @param {(element: Element) => Message | undefined} messageAt */
export function selectedMessages(log, messageAt) {
  const range = rangeIn(log);
  return range === null ? [] : selectedParts(range, log, messageAt).map(({ message }) => message);
}

/** @param {HTMLElement} log */
function rangeIn(log) {
  const selection = getSelection();
  if (selection === null || selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  return log.contains(range.commonAncestorContainer) ? range : null;
}

/**
 * @param {Range} range @param {HTMLElement} log @param {(element: Element) => Message | undefined} messageAt
 */
function selectedParts(range, log, messageAt) {
  const parts = [];
  for (const element of log.querySelectorAll(".message")) {
    const message = range.intersectsNode(element) ? messageAt(element) : undefined;
    if (!message || message.deleted) continue;
    const files = element.querySelector(".files");
    const addresses = files && range.intersectsNode(files) ? filesAsText(message.files) : "";
    const typed = selectedText(range, part(element, "text"), message.text ?? "");
    const text = [typed, addresses].filter(Boolean).join("\n");
    if (text) parts.push({ message, text });
  }
  return parts;
}

/** @param {FileFacts[]} files */
function filesAsText(files) {
  return files.map((file) => `${file.name} ${location.origin}${addressOf(file)}`).join("\n");
}

/** A text that is selected from end to end is copied as it was typed. @param {Range} range @param {HTMLElement} body @param {string} typed */
function selectedText(range, body, typed) {
  if (!range.intersectsNode(body)) return "";
  const own = document.createRange();
  own.selectNodeContents(body);
  const whole = own.toString();
  // The names of files stand at the files, and not in the text.
  if (whole === "") return "";
  if (range.compareBoundaryPoints(Range.START_TO_START, own) > 0)
    own.setStart(range.startContainer, range.startOffset);
  if (range.compareBoundaryPoints(Range.END_TO_END, own) < 0)
    own.setEnd(range.endContainer, range.endOffset);
  if (own.toString() === whole) return typed;
  return linesOf(own.cloneContents()).replace(/^\n+|\n+$/g, "");
}

/** The text of nodes, with addresses in full, and without our buttons. @param {Node} node @returns {string} */
function linesOf(node) {
  if (node instanceof Text) return node.data;
  if (node instanceof HTMLButtonElement) return "";
  const address = node instanceof HTMLAnchorElement ? node.dataset.typed : undefined;
  if (address !== undefined) return address;
  const text = [...node.childNodes].map(linesOf).join("");
  const isLine = node instanceof Element && node.matches(LINES);
  return isLine && text && !text.endsWith("\n") ? `${text}\n` : text;
}
