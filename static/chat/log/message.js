/** Creates and fills a message's element, and decides whether it is grouped with the one above. */

import { copyElement, part, setAvatar, setText, showName } from "../dom/templates.js";
import { fileNames } from "../model/files.js";
import { gettext, isolate } from "../model/language.js";
import { shownNames } from "../model/names.js";
import { isForMe, namesOf } from "../model/own.js";
import { ALERT, MESSAGE, MUTED, WARNING } from "../model/protocol.js";
import { authorWords, confirmedWords, deletedWords, HELD, sentenceFor } from "../model/strings.js";
import { dates } from "./days.js";
import { showFiles } from "./files.js";
import { foldMessage } from "./fold.js";
import { showSentence, showText } from "./text.js";

/** @import {FileFacts} from "../model/files.js" */
/** @import {Entry} from "../model/outbox_store.js" */
/** @import {Me} from "../model/own.js" */
/** @import {Message} from "../model/room_log.js" */

/** Messages of one author within this time are in one group. */
const GROUP_MS = 5 * 60_000;

/** What an unsent message says of its type. @type {Map<number | undefined, string>} */
const TYPE_WORDS = new Map([
  [WARNING, gettext("Warning")],
  [ALERT, gettext("Alert")],
]);

/**
 * Create a message's element. Warnings and alerts are marked with a word and a sign, not by colour alone.
 * @param {Message} message
 */
export function createMessage({ type }) {
  if (type === WARNING) return copyElement("warning-template");
  if (type === ALERT) return copyElement("alert-template");
  const element = copyElement("message-template");
  element.classList.toggle("muted", type !== MESSAGE);
  return element;
}

/**
 * @param {Message} previous
 * @param {Message} message
 */
export function isSameGroup(previous, message) {
  // Two users may have had the same name at different times, and a user may have had two names.
  if (previous.user !== message.user || previous.username !== message.username) return false;
  if (previous.type !== message.type) return false;
  return message.type === MESSAGE && Date.parse(message.at) - Date.parse(previous.at) < GROUP_MS;
}

/** "monitor, 9:18". @param {Pick<Message, "username" | "user" | "at">} message */
export function signature(message) {
  return `${isolate(authorWords(message))}, ${dates.time(message.at)}`;
}

/**
 * @param {HTMLElement} element
 * @param {Message} message
 * @param {Me} me
 */
export function fillMessage(element, message, me) {
  const { username, text, type, at, edited, deleted, files } = message;
  const isForReader = isForMe(message, me);
  element.classList.toggle("for-me", isForReader);
  part(element, "quiet").textContent =
    (type === MUTED ? `${gettext("Muted:")} ` : "") +
    (isForReader ? `${gettext("Mentions you:")} ` : "");
  const author = part(element, "author");
  const avatar = element.querySelector(".avatar");
  showName(author, () => {
    const words = authorWords(message);
    setText(author, words);
    author.title = username;
    if (avatar instanceof HTMLElement)
      setAvatar(avatar, username, username && words, shownNames.pictureOf(username, message.user));
  });
  showTime(element, at);
  const body = part(element, "text");
  if (deleted) showSentence(body, deletedWords(1));
  const typed = typedText(text, files);
  foldMessage(element, deleted ? 0 : showText(body, typed, namesOf(message, me)));
  showFiles(body, files);
  element.classList.toggle("deleted", deleted);
  part(element, "act").hidden = deleted;
  part(element, "edited").textContent = edited && !deleted ? gettext("(edited)") : "";
  showConfirmed(element, message);
}

/** Show who has confirmed an alert. @param {HTMLElement} element @param {Message} message */
export function showConfirmed(element, message) {
  if (message.type !== ALERT) return;
  const confirmed = part(element, "confirmed");
  showName(confirmed, () => setText(confirmed, message.deleted ? "" : confirmedWords(message)));
}

/** A message of files alone has their names as its text, and they are in view. @param {string | null} text @param {FileFacts[]} files */
function typedText(text, files) {
  return files.length && text === fileNames(files) ? "" : (text ?? "");
}

/** Show the time in the reader's zone. @param {HTMLElement} element @param {string} at */
export function showTime(element, at) {
  const time = part(element, "time");
  time.textContent = dates.time(at);
  time.setAttribute("datetime", at);
  time.dataset.clock = dates.clock(at);
  time.title = dates.full(at);
}

/** @param {Entry} entry */
export function stateId({ client_id, state, code }) {
  return `${client_id} ${state === "held" ? state : state === "failed" ? code : "on its way"}`;
}

/**
 * @param {Entry} entry
 * @param {string} me
 */
export function createUnsent(entry, me) {
  const isHeld = entry.state === "held";
  const hasFailed = isHeld || entry.state === "failed";
  const element = copyElement(hasFailed ? "failed-template" : "pending-template");
  element.dataset.stateId = stateId(entry);
  element.dataset.clientId = entry.client_id;
  const author = part(element, "author");
  const kind = TYPE_WORDS.get(entry.type);
  showName(author, () => {
    setText(author, shownNames.of(me) + (kind ? ` · ${kind}` : ""));
    setAvatar(part(element, "avatar"), me, shownNames.of(me), shownNames.pictureOf(me));
  });
  const body = part(element, "text");
  foldMessage(element, showText(body, entry.text));
  showFiles(body, entry.files ?? []);
  if (isHeld) part(element, "retry").textContent = gettext("Send");
  if (hasFailed)
    part(element, "reason").textContent = isHeld
      ? HELD
      : gettext("Not sent. {reason}", { reason: sentenceFor(entry.code ?? "", entry.detail) });
  return element;
}
