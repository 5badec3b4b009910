/** Every sentence the page says. */

import { ALERT, countGraphemes, WARNING } from "./protocol.js";

/** @import {State} from "./connection.js" */
/** @import {ErrorFrame, Limits} from "./protocol.js" */

/** So much of a message is quoted in a sentence. */
const QUOTED = 200;

/** @type {Record<string, string>} */
const SENTENCES = {
  USER_HAS_TO_LOGIN:
    "You are signed out here, or somebody else signed in. Sign in again to go on; what is not sent waits for you.",
  ROOM_INVALID: "This room does not exist any more.",
  ROOM_ACCESS_DENIED: "You may not enter this room.",
  JSON_INVALID: "The server could not read what this page sent.",
  COMMAND_INVALID: "The server does not know what this page asked for. Reload the page.",
  MESSAGE_EMPTY: "There is nothing to send yet.",
  MESSAGE_TOO_LONG: "This text is too long.",
  MESSAGE_INVALID: "This text has characters that cannot be sent.",
  MESSAGE_TYPE_DENIED: "You may not send messages of this type.",
  NOT_AUTHOR: "Only its author may change a message.",
  RATE_LIMITED: "You're sending too fast.",
  USER_MUTED: "You are muted in this room for now.",
  ROOM_READ_ONLY: "Nobody can write in this room at the moment.",
  SERVER_UNAVAILABLE: "The server can't save anything right now.",
};

/**
 * Say an error code in words; the code stays, for whoever is asked for help.
 * @param {string} code
 * @param {string} [detail] the server's own sentence, which knows more
 */
export function sentenceFor(code, detail) {
  return `${detail ?? SENTENCES[code] ?? "Something went wrong."} (${code})`;
}

/** Say what was refused for now, and is tried again. @param {string} code */
export function soonSentence(code) {
  return `${SENTENCES[code] ?? "Something went wrong."} It goes on by itself. (${code})`;
}

/** @param {number} most */
export function fullPageWords(most) {
  return `This page can hold ${most} rooms at most. Close one to open another.`;
}

export const JUMP_WAITS = "You're offline. We'll go there when you're connected again.";

export const REPLACED =
  "Another user is logged in now. Reload this page to see their rooms; your unsent messages are kept for you.";

/** What the system says has no author. @param {string} username */
export function authorWords(username) {
  return username || "System";
}

/**
 * Who says it, and first of all whether it is more than a message.
 * @param {{username: string, type: number}} message
 */
export function senderWords({ username, type }) {
  const kind = type === ALERT ? "Alert. " : type === WARNING ? "Warning. " : "";
  return kind + authorWords(username);
}

export const NEW_VERSION = "A new version of this page is available.";

export const AT_RISK =
  "Your browser can't store anything more. Unsent messages and drafts will be lost if you close the page.";

/** Of a text that waited too long to be sent without a question. */
export const HELD =
  "Not sent, because you wrote this more than a day ago. Send it now, or put it back to change it.";

export const EDIT_DELETED =
  "This message was deleted while you were editing it. Your text is kept here; copy it if you need it.";

/** The message that is edited here was edited elsewhere, too. @param {string} text what it is now */
export function editedWords(text) {
  const now = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
  return `This message was changed elsewhere while you were editing it. It now says: “${now}” Saving replaces that.`;
}

/** @param {string | undefined} title @param {boolean} isReplaced another room has its number @param {boolean} isDraft */
export function lostWords(title, isReplaced, isDraft = false) {
  const room = title ? `“${title}”` : "a room";
  const what = isDraft
    ? `You were writing this in ${room}.`
    : `This message to ${room} wasn't sent.`;
  const why = isReplaced
    ? "The room was restored or replaced since you wrote it."
    : "The room is no longer available to you.";
  return `${what} ${why}`;
}

/** @param {string | undefined} title */
export function lostEditWords(title) {
  return `You were editing a message in ${title ? `“${title}”` : "a room"}. The change wasn't saved.`;
}

/** @param {string} title */
export function spareWords(title) {
  return `Another tab left this unsent draft for “${title}”.`;
}

/** @param {number} count */
export function unsentWords(count) {
  return `${count} not sent`;
}

/** @param {number} count */
export function keptWords(count) {
  const texts = count === 1 ? "1 text is not sent yet." : `${count} texts are not sent yet.`;
  return `${texts} Log out and discard ${count === 1 ? "it" : "them"}?`;
}

/**
 * @param {string} code
 * @param {Limits} limits
 * @param {string} text
 */
export function refusalSentence(code, limits, text) {
  if (code !== "MESSAGE_TOO_LONG") return sentenceFor(code);
  const number = new Intl.NumberFormat();
  // Of millions of characters the browser would count for minutes.
  const isHuge = text.length > limits.bytes;
  const counted = isHuge ? text.slice(0, limits.bytes) : text;
  const characters = countGraphemes(counted, Number.POSITIVE_INFINITY);
  if (isHuge) {
    const atLeast = number.format(Math.max(characters, limits.graphemes));
    return sentenceFor(
      code,
      `This text is too long. It has more than ${atLeast} characters of ${number.format(limits.graphemes)}. Shorten it, or send it in parts.`,
    );
  }
  const length =
    characters > limits.graphemes
      ? `It has ${number.format(characters)} characters of ${number.format(limits.graphemes)}.`
      : `Its ${number.format(characters)} characters take more than ${number.format(limits.bytes)} bytes.`;
  return sentenceFor(code, `This text is too long. ${length} Shorten it, or send it in parts.`);
}

/** A message could not be edited or deleted. @param {ErrorFrame} [frame] none when the line is down */
export function unchangedSentence(frame) {
  if (frame === undefined)
    return "The line is down, so the message may not be changed yet. Try again.";
  return `The message was not changed. ${sentenceFor(frame.error, frame.detail)}`;
}

/**
 * @param {State} state
 * @param {number} waitMs until the next try
 * @returns {[string, string]} what to say, and what changes too often to be read out
 */
export function stateWords(state, waitMs) {
  if (state === "open") return ["Connected", ""];
  if (state === "connecting") return ["Connecting…", ""];
  // Told beforehand, so no alarm: the page is back in a moment.
  if (state === "returning") return ["Reconnecting…", ""];
  if (state === "signed out") return ["Signed out – ", ""];
  return ["Offline – trying again", waitMs > 0 ? ` in ${Math.ceil(waitMs / 1000)} s` : "…"];
}

/** @param {number} waitMs until it is tried again */
export function againWords(waitMs) {
  return ` Again in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`;
}

/**
 * Condense who entered and left since the last message: only where each is now.
 * @param {Map<string, "joined" | "left">} people
 */
export function presenceWords(people) {
  return /** @type {const} */ (["joined", "left"])
    .map((verb) => ({
      verb,
      names: [...people].filter(([, now]) => now === verb).map(([name]) => name),
    }))
    .filter(({ names }) => names.length > 0)
    .map(({ verb, names }) => `${someNames(names)} ${verb}`)
    .join(" · ");
}

/** @param {string[]} names */
function someNames([first, second, ...others]) {
  if (second === undefined) return first;
  if (others.length === 0) return `${first} and ${second}`;
  return `${first} and ${others.length + 1} others`;
}

/** @typedef {{unread: number, mentions: number}} Counts */

/** The server counts to 1000, which means more than 999. @param {number} count */
function capped(count) {
  return count > 999 ? "999+" : String(count);
}

/** Short, for a title: mentions apart. @param {Counts} counts */
export function countsWords({ unread, mentions }) {
  if (!unread) return "";
  return mentions ? `${capped(unread)}, @${capped(mentions)}` : capped(unread);
}

/** For those who hear the page. @param {Counts} counts */
export function unreadWords({ unread, mentions }) {
  if (!unread) return "";
  return mentions
    ? `${capped(unread)} unread, ${capped(mentions)} for you`
    : `${capped(unread)} unread`;
}

/** @param {number} count @param {string} room */
export function newMessagesWords(count, room) {
  return `${count} new ${count === 1 ? "message" : "messages"} in ${room}`;
}

/** @param {number} count */
export function hereWords(count) {
  return count === 1 ? "1 person here" : `${count} people here`;
}

/** Where a link leads to. @param {boolean} wasThere */
export function gonePlaceWords(wasThere) {
  return wasThere
    ? "The message that this link leads to was deleted."
    : "There is no such message as this link leads to.";
}

/** @param {Date} day */
export function noDayWords(day) {
  const date = new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(day);
  return `Nothing was written here on ${date} or later.`;
}

/** @param {number} count */
export function aboveWords(count) {
  return `${capped(count)} new above`;
}

/** Panes out of view. @param {number} count */
export function beyondWords(count) {
  return `${count} more ${count === 1 ? "pane" : "panes"}`;
}

/** @param {number} count */
export function belowWords(count) {
  return count ? `${capped(count)} new below` : "Jump to newest";
}
