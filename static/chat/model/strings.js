/** Every sentence that the page shows or has read out. */

import { shownNames } from "./names.js";
import { ALERT, countGraphemes, isSoon, WARNING } from "./protocol.js";

/** @import {State} from "./connection.js" */
/** @import {Diagnosis} from "./diagnosis.js" */
/** @import {ErrorFrame, Limits, Person} from "./protocol.js" */

/** At most this many characters of a message are quoted in a sentence. */
const QUOTED = 200;

/** @type {Record<string, string>} */
const SENTENCES = {
  USER_HAS_TO_LOGIN:
    "You've been signed out. Sign in again to continue; your unsent messages are kept.",
  ROOM_INVALID: "This room no longer exists.",
  ROOM_ACCESS_DENIED: "You don't have access to this room.",
  JSON_INVALID: "The server couldn't read what this page sent.",
  COMMAND_INVALID: "The server didn't understand this page. Reload it.",
  MESSAGE_EMPTY: "There's nothing to send yet.",
  MESSAGE_TOO_LONG: "This message is too long.",
  MESSAGE_INVALID: "This message has characters that can't be sent.",
  MESSAGE_TYPE_DENIED: "You can't send messages of this type.",
  NOT_AUTHOR: "Only the author can change this message.",
  EPOCH_CHANGED: "This room was restored or reset. Check your message and send it again.",
  RATE_LIMITED: "You're sending too fast.",
  USER_MUTED: "You're muted in this room for now.",
  ROOM_READ_ONLY: "This room is read-only at the moment.",
  SERVER_UNAVAILABLE: "The server can't save anything right now.",
};

/**
 * Explain an error code in a sentence. The code is appended because support may ask for it.
 * @param {string} code
 * @param {string} [detail] the server's own, more exact sentence
 */
export function sentenceFor(code, detail) {
  return `${detail ?? SENTENCES[code] ?? "Something went wrong."} (${code})`;
}

/** Explain a refusal. The server's sentence advises any client, but the page retries some commands by itself. @param {ErrorFrame} frame */
export function refusedSentence(frame) {
  const { error, detail } = frame;
  if (!isSoon(frame)) return sentenceFor(error, detail);
  return `${SENTENCES[error] ?? "Something went wrong."} We'll retry automatically. (${error})`;
}

const SHORTEN = "Shorten it or send it in parts.";

/** @param {number} most */
export function fullPageWords(most) {
  return `You can have ${most} rooms open at most. Close one to open another.`;
}

export const JUMP_WAITS = "You're offline. We'll go there when you're connected again.";

export const REPLACED =
  "Another user is logged in now. Reload to see their rooms; your unsent messages are kept for you.";

/** The name by which an author is shown. Messages of the system have no author. @param {{username: string, user?: number | undefined}} message */
export function authorWords({ username, user }) {
  return shownNames.of(username, user) || "System";
}

/**
 * Name the sender. A warning or alert is announced as such first.
 * @param {{username: string, user?: number | undefined, type: number}} message
 */
export function senderWords(message) {
  const { type } = message;
  const kind = type === ALERT ? "Alert. " : type === WARNING ? "Warning. " : "";
  return kind + authorWords(message);
}

export const NEW_VERSION = "A new version of this page is available.";

/** A part of the page is loaded when it is first used. */
export const NOT_LOADED =
  "This part of the page couldn't be loaded. Check your connection, then try again.";

export const NO_MENTIONS = "You haven't been mentioned yet.";

export const OFFLINE = "You're offline. Try again when you're connected.";

export const AT_RISK =
  "Your browser can't store anything more. Unsent messages and drafts will be lost if you close the page.";

/** For a message that waited too long to be sent without asking its author. */
export const HELD =
  "Not sent, because you wrote this more than a day ago. Send it now, or put it back to change it.";

export const EDIT_DELETED =
  "This message was deleted while you were editing it. Copy your text if you still need it.";

/** The message being edited here was also edited elsewhere. @param {string} text the current text */
export function editedWords(text) {
  const current = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
  return `This message was edited elsewhere and now says: “${current}” Saving will replace that.`;
}

/** @param {string | undefined} title @param {boolean} isReplaced another log has the room's id @param {boolean} isDraft */
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
  const messages = count === 1 ? "1 message hasn't" : `${count} messages haven't`;
  return `${messages} been sent yet. Log out and discard ${count === 1 ? "it" : "them"}?`;
}

/**
 * @param {string} code
 * @param {Limits} limits
 * @param {string} text
 */
export function refusalSentence(code, limits, text) {
  if (code !== "MESSAGE_TOO_LONG") return sentenceFor(code);
  const number = new Intl.NumberFormat();
  // Counting millions of characters would take the browser minutes.
  const isHuge = text.length > limits.bytes;
  const counted = isHuge ? text.slice(0, limits.bytes) : text;
  const characters = countGraphemes(counted, Number.POSITIVE_INFINITY);
  if (isHuge) {
    const atLeast = number.format(Math.max(characters, limits.graphemes));
    return sentenceFor(
      code,
      `This message has more than ${atLeast} characters; the limit is ${number.format(limits.graphemes)}. ${SHORTEN}`,
    );
  }
  const length =
    characters > limits.graphemes
      ? `has ${number.format(characters)} characters; the limit is ${number.format(limits.graphemes)}.`
      : `is too long: ${number.format(characters)} characters take more than ${number.format(limits.bytes)} bytes.`;
  return sentenceFor(code, `This message ${length} ${SHORTEN}`);
}

/** A message could not be edited or deleted. @param {ErrorFrame} [frame] undefined when the connection is down */
export function unchangedSentence(frame) {
  if (frame === undefined)
    return "You're offline, so the message may not have changed. Try again when you're connected.";
  return `The message wasn't changed. ${sentenceFor(frame.error, frame.detail)}`;
}

/**
 * @param {State} state
 * @param {number} waitMs until the next attempt
 * @returns {[string, string]} the state, and a countdown that changes too often to be read out
 */
export function stateWords(state, waitMs) {
  if (state === "open") return ["Connected", ""];
  if (state === "connecting") return ["Connecting…", ""];
  // The server announced this, so it is no reason for alarm: the page reconnects in a moment.
  if (state === "returning") return ["Reconnecting…", ""];
  if (state === "signed out") return ["Signed out – ", ""];
  return ["Offline – trying again", waitMs > 0 ? ` in ${Math.ceil(waitMs / 1000)} s` : "…"];
}

/** What is wrong with the connection, and what to do. @param {Diagnosis} diagnosis */
function causeWords({ cause, status, host }) {
  const { origin, hostname } = location;
  switch (cause) {
    case "silent":
      return "The server doesn't answer.";
    case "gateway":
      return `The server is down; its proxy answers with error ${status}.`;
    case "cookies":
      return "Your browser's cookies for this site are too large for the server. Delete them and log in again.";
    case "host":
      return `The proxy tells the server the name “${host}”. An administrator has to make it pass on the Host header, or add ${origin} to CSRF_TRUSTED_ORIGINS.`;
    case "name":
      return `The server doesn't accept the name ${hostname}. An administrator has to add it to ALLOWED_HOSTS.`;
    case "scheme":
      return "The server doesn't expect https here. An administrator has to set HTTPS=on.";
    case "origin":
      return `The server refuses pages of ${origin}. An administrator has to add it to CSRF_TRUSTED_ORIGINS.`;
    default:
      return "The server answers, but its WebSocket doesn't open. An administrator has to make the proxy pass on upgrades of /chat/stream/.";
  }
}

/**
 * What the bar above the panes says.
 * @param {Diagnosis | null} diagnosis
 * @param {{wait: number, isOnline: boolean}} now `wait`: milliseconds until the next attempt
 * @returns {[string, string]} the sentence, and a countdown that changes too often to be read out
 */
export function barWords(diagnosis, { wait, isOnline }) {
  const why = !isOnline
    ? "This device is offline."
    : diagnosis
      ? causeWords(diagnosis)
      : "You're offline.";
  return [
    `${why} What you send is kept until you're connected.`,
    wait > 0 ? `Next try in ${Math.ceil(wait / 1000)} s` : "Trying…",
  ];
}

/** @param {number} waitMs until the next attempt */
export function againWords(waitMs) {
  return ` Retrying in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`;
}

/**
 * Condense who entered and left since the last message: each person's latest state only.
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

/** @param {string[]} usernames */
function someNames(usernames) {
  const [first, second, ...others] = usernames.map((username) => shownNames.of(username));
  if (second === undefined) return first;
  if (others.length === 0) return `${first} and ${second}`;
  return `${first} and ${others.length + 1} others`;
}

/** Say who is writing in a room. @param {string[]} names */
export function typingWords(names) {
  if (names.length === 0) return "";
  return `${someNames(names)} ${names.length === 1 ? "is" : "are"} writing …`;
}

/** @typedef {{unread: number, mentions: number}} Counts */

export const NOTIFYING_BLOCKED =
  "Your browser blocks notifications of this site. Allow them in its settings for the site, then try again.";

export const PUSH_FAILED =
  "This browser could not subscribe to messages for when the page is closed. Try again later.";

export const NOTIFYING_MISSING = "This browser can't show notifications.";

/**
 * What a notification says: the room, the author and the text, each in an isolate of its own.
 * @param {string} title
 * @param {{author: string, text: string, type: number, isDirect: boolean}} message
 */
export function notifyWords(title, { author, text, type, isDirect }) {
  if (type === 2) return { title: `Alert in ${title}`, body: text };
  const isNamed = !isDirect && author !== "\u2068\u2069";
  return { title, body: isNamed ? `${author}: ${text}` : text };
}

/** What a user can choose to hear of a room. @type {["all" | "mentions" | "quiet", string][]} */
export const LEVELS = [
  ["all", "All"],
  ["mentions", "Mentions"],
  ["quiet", "Quiet"],
];

/** The server counts to 1000, which means more than 999. @param {number} count */
function capped(count) {
  return count > 999 ? "999+" : String(count);
}

/** Unread messages and mentions, short enough for a title. @param {Counts} counts */
export function countsWords({ unread, mentions }) {
  if (!unread) return "";
  return mentions ? `${capped(unread)}, @${capped(mentions)}` : capped(unread);
}

/** Unread messages and mentions, for screen readers. @param {Counts} counts */
export function unreadWords({ unread, mentions }) {
  if (!unread) return "";
  return mentions
    ? `${capped(unread)} unread, ${capped(mentions)} for you`
    : `${capped(unread)} unread`;
}

/**
 * The alert that waits for the reader, without its text while the room is not open.
 * @param {string} title
 * @param {string} text
 * @param {number} others how many more rooms have an alert
 */
export function alertLineWords(title, text, others) {
  if (!title) return "";
  const more = others ? ` (and ${others} more ${others === 1 ? "room" : "rooms"})` : "";
  return `Alert in ${title}${more}${text ? `: ${text}` : ""}`;
}

/** Name the users who have confirmed an alert, and the one who said that it is over. @param {{confirmations: {count: number, users: Person[]}, resolution: Person | null}} alert */
export function confirmedWords({ confirmations: { count, users }, resolution }) {
  const [first = "", second = ""] = users.map(authorWords);
  const names = [first, second]
    .slice(0, Math.min(2, users.length))
    .join(count > 2 ? ", " : " and ");
  const more = count > 2 ? ` and ${count - 2} more` : "";
  const confirmed = count ? `Confirmed by ${names}${more}` : "";
  const over = resolution ? `Over, says ${authorWords(resolution)}` : "";
  return [over, confirmed].filter(Boolean).join(". ");
}

/** Deleted messages below each other, in one line. @param {number} count */
export function deletedWords(count) {
  return count === 1 ? "Message deleted" : `${count} messages deleted`;
}

/** The line across the panes that show the same moment. @param {number} time */
export function momentWords(time) {
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  return `${clock.format(time)} in all panes`;
}

export const ALL_CAUGHT_UP = "All caught up";

/** @param {string} title @param {number} left unread rooms after this one */
export function catchUpWords(title, left) {
  const others = left === 0 ? "the last unread room" : `${left} more unread`;
  return `${title}, ${others}`;
}

export const PEEKED = "Provisional. Write here or double-click the head to keep this pane.";

export const DELETE_MESSAGE = "Delete this message for everybody?";
export const DELETE_COPIES = "Delete this message in all rooms that you sent it to?";

/** The button beside a room in the list. @param {string} title @param {boolean} isOpen */
export function toggleWords(title, isOpen) {
  return `${isOpen ? "Close" : "Open"} ${title}`;
}

/** @param {string} title */
export function closedWords(title) {
  return `${title} is closed.`;
}

/** @param {number} count @param {string} room */
export function newMessagesWords(count, room) {
  return `${count} new ${count === 1 ? "message" : "messages"} in ${room}`;
}

/** How many choices a list has, for screen readers. @param {number} count */
export function choicesWords(count) {
  return count === 1 ? "1 suggestion" : `${count} suggestions`;
}

/** @param {number} count */
export function hereWords(count) {
  return count === 1 ? "1 person here" : `${count} people here`;
}

/** The message that a link leads to is not there. @param {boolean} wasThere */
export function missingMessageWords(wasThere) {
  return wasThere ? "The linked message was deleted." : "The linked message doesn't exist.";
}

/** @param {Date} day */
export function noDayWords(day) {
  const date = new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(day);
  return `There are no messages from ${date} or later.`;
}

/** @param {number} count */
export function aboveWords(count) {
  return `${capped(count)} new above`;
}

/** How many panes are out of view. @param {number} count */
export function overflowWords(count) {
  return `${count} more ${count === 1 ? "pane" : "panes"}`;
}

/** @param {number} count */
export function belowWords(count) {
  return count ? `${capped(count)} new below` : "Jump to newest";
}

/** How many messages a search found. @param {number} count @param {boolean} hasMore */
export function resultsWords(count, hasMore) {
  if (count === 0) return "No messages found.";
  return `${count}${hasMore ? "+" : ""} ${count === 1 && !hasMore ? "message" : "messages"}`;
}

/** @param {string} typed */
export function searchWords(typed) {
  return `Search messages for “${typed}”`;
}

/**
 * What of a room is printed. @param {string} from @param {string} to @param {{hasOlder: boolean, hasNewer: boolean}} edges
 */
export function heldWords(from, to, { hasOlder, hasNewer }) {
  const left = hasOlder && hasNewer ? "Older and newer" : hasOlder ? "Older" : "Newer";
  const rest = hasOlder || hasNewer ? ` ${left} messages were not loaded and are not printed.` : "";
  return `Messages from ${from} to ${to}.${rest}`;
}
