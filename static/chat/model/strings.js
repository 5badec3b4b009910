/** Every sentence that the page shows or has read out. */

import { gettext, isolate, LOCALE, ngettext, pgettext } from "./language.js";
import { shownNames } from "./names.js";
import { ALERT, countGraphemes, isSoon, WARNING } from "./protocol.js";

/** @import {State} from "./connection.js" */
/** @import {ErrorFrame, Limits, Person} from "./protocol.js" */

/** At most this many characters of a message are quoted in a sentence. */
const QUOTED = 200;

/** @type {Record<string, string>} */
const SENTENCES = {
  USER_HAS_TO_LOGIN: gettext(
    "You've been signed out. Sign in again to continue; your unsent messages are kept.",
  ),
  ROOM_INVALID: gettext("This room no longer exists."),
  ROOM_ACCESS_DENIED: gettext("You don't have access to this room."),
  JSON_INVALID: gettext("The server couldn't read what this page sent."),
  COMMAND_INVALID: gettext("The server didn't understand this page. Reload it."),
  MESSAGE_EMPTY: gettext("There's nothing to send yet."),
  MESSAGE_TOO_LONG: gettext("This message is too long."),
  MESSAGE_INVALID: gettext("This message has characters that can't be sent."),
  MESSAGE_TYPE_DENIED: gettext("You can't send messages of this type."),
  NOT_AUTHOR: gettext("Only the author can change this message."),
  EPOCH_CHANGED: gettext("This room was restored or reset. Check your message and send it again."),
  RATE_LIMITED: gettext("You're sending too fast."),
  USER_MUTED: gettext("You're muted in this room for now."),
  ROOM_READ_ONLY: gettext("This room is read-only at the moment."),
  SERVER_UNAVAILABLE: gettext("The server can't save anything right now."),
};

const UNKNOWN = gettext("Something went wrong.");

/**
 * Explain an error code in a sentence. The code is appended because support may ask for it.
 * @param {string} code
 * @param {string} [detail] the server's own, more exact sentence
 */
export function sentenceFor(code, detail) {
  return `${detail ?? SENTENCES[code] ?? UNKNOWN} (${code})`;
}

/** Explain a refusal. The server's sentence advises any client, but the page retries some commands by itself. @param {ErrorFrame} frame */
export function refusedSentence(frame) {
  const { error, detail } = frame;
  if (!isSoon(frame)) return sentenceFor(error, detail);
  const sentence = SENTENCES[error] ?? UNKNOWN;
  return `${gettext("{sentence} We'll retry automatically.", { sentence })} (${error})`;
}

/** @param {number} most */
export function fullPageWords(most) {
  return ngettext(
    "You can have {count} room open at most. Close one to open another.",
    "You can have {count} rooms open at most. Close one to open another.",
    most,
  );
}

export const JUMP_WAITS = /* @__PURE__ */ gettext(
  "You're offline. We'll go there when you're connected again.",
);

export const REPLACED = /* @__PURE__ */ gettext(
  "Another user is logged in now. Reload to see their rooms; your unsent messages are kept for you.",
);

/** The name by which an author is shown. Messages of the system have no author. @param {{username: string, user?: number | undefined}} message */
export function authorWords({ username, user }) {
  return shownNames.of(username, user) || gettext("System");
}

/**
 * Name the sender. A warning or alert is announced as such first.
 * @param {{username: string, user?: number | undefined, type: number}} message
 */
export function senderWords(message) {
  const { type } = message;
  const author = authorWords(message);
  if (type === ALERT) return gettext("Alert. {author}", { author });
  return type === WARNING ? gettext("Warning. {author}", { author }) : author;
}

export const NEW_VERSION = /* @__PURE__ */ gettext("A new version of this page is available.");

/** A part of the page is loaded when it is first used. */
export const NOT_LOADED = /* @__PURE__ */ gettext(
  "This part of the page couldn't be loaded. Check your connection, then reload the page.",
);

export const NO_MENTIONS = /* @__PURE__ */ gettext("You haven't been mentioned yet.");

export const OFFLINE = /* @__PURE__ */ gettext("You're offline. Try again when you're connected.");

export const AT_RISK = /* @__PURE__ */ gettext(
  "Your browser can't store anything more. Unsent messages and drafts will be lost if you close the page.",
);

/** For a message that waited too long to be sent without asking its author. */
export const HELD = /* @__PURE__ */ gettext(
  "Not sent, because you wrote this more than a day ago. Send it now, or put it back to change it.",
);

export const EDIT_DELETED = /* @__PURE__ */ gettext(
  "This message was deleted while you were editing it. Copy your text if you still need it.",
);

/** The message being edited here was also edited elsewhere. @param {string} text the current text */
export function editedWords(text) {
  const current = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
  return gettext(
    "This message was edited elsewhere and now says: “{text}” Saving will replace that.",
    { text: current },
  );
}

/** @param {string | undefined} title @param {boolean} isReplaced another log has the room's id @param {boolean} isDraft */
export function lostWords(title, isReplaced, isDraft = false) {
  const why = isReplaced
    ? gettext("The room was restored or replaced since you wrote it.")
    : gettext("The room is no longer available to you.");
  return `${isDraft ? lostDraftWords(title) : lostMessageWords(title)} ${why}`;
}

/** @param {string | undefined} room */
function lostDraftWords(room) {
  if (!room) return gettext("You were writing this in a room.");
  return gettext("You were writing this in “{room}”.", { room });
}

/** @param {string | undefined} room */
function lostMessageWords(room) {
  if (!room) return gettext("This message to a room wasn't sent.");
  return gettext("This message to “{room}” wasn't sent.", { room });
}

/** @param {string | undefined} room its title */
export function lostEditWords(room) {
  if (!room) return gettext("You were editing a message in a room. The change wasn't saved.");
  return gettext("You were editing a message in “{room}”. The change wasn't saved.", { room });
}

/** @param {string} room its title */
export function spareWords(room) {
  return gettext("Another tab left this unsent draft for “{room}”.", { room });
}

/** @param {number} count */
export function unsentWords(count) {
  return ngettext("{count} not sent", "{count} not sent", count);
}

/** @param {number} count */
export function keptWords(count) {
  return ngettext(
    "{count} message hasn't been sent yet. Log out and discard it?",
    "{count} messages haven't been sent yet. Log out and discard them?",
    count,
  );
}

/**
 * @param {string} code
 * @param {Limits} limits
 * @param {string} text
 */
export function refusalSentence(code, limits, text) {
  if (code !== "MESSAGE_TOO_LONG") return sentenceFor(code);
  // Counting millions of characters would take the browser minutes.
  const isHuge = text.length > limits.bytes;
  const counted = isHuge ? text.slice(0, limits.bytes) : text;
  const found = countGraphemes(counted, Number.POSITIVE_INFINITY);
  const characters = isHuge ? Math.max(found, limits.graphemes) : found;
  const format = new Intl.NumberFormat(LOCALE).format;
  const count = format(characters);
  const limit = format(limits.graphemes);
  const length = isHuge
    ? ngettext(
        "This message has more than {count} character; the limit is {limit}.",
        "This message has more than {count} characters; the limit is {limit}.",
        characters,
        { count, limit },
      )
    : characters > limits.graphemes
      ? ngettext(
          "This message has {count} character; the limit is {limit}.",
          "This message has {count} characters; the limit is {limit}.",
          characters,
          { count, limit },
        )
      : ngettext(
          "This message is too long: {count} character takes more than {bytes} bytes.",
          "This message is too long: {count} characters take more than {bytes} bytes.",
          characters,
          { count, bytes: format(limits.bytes) },
        );
  return sentenceFor(code, `${length} ${gettext("Shorten it or send it in parts.")}`);
}

/** A message could not be edited or deleted. @param {ErrorFrame} [frame] undefined when the connection is down */
export function unchangedSentence(frame) {
  if (frame === undefined)
    return gettext(
      "You're offline, so the message may not have changed. Try again when you're connected.",
    );
  const reason = sentenceFor(frame.error, frame.detail);
  return gettext("The message wasn't changed. {reason}", { reason });
}

/**
 * @param {State} state
 * @param {number} waitMs until the next attempt
 * @returns {[string, string]} the state, and a countdown that changes too often to be read out
 */
export function stateWords(state, waitMs) {
  if (state === "open") return [gettext("Connected"), ""];
  if (state === "connecting") return [gettext("Connecting…"), ""];
  // The server announced this, so it is no reason for alarm: the page reconnects in a moment.
  if (state === "returning") return [gettext("Reconnecting…"), ""];
  if (state === "signed out") return [`${gettext("Signed out.")} `, ""]; // a link follows
  const seconds = Math.ceil(waitMs / 1000);
  return [
    gettext("Offline – trying again"),
    seconds > 0 ? ` ${pgettext("Offline – trying again", "in {seconds} s", { seconds })}` : "…",
  ];
}

/**
 * What the bar above the panes says.
 * @param {string} cause why, once it is known
 * @param {{wait: number, isOnline: boolean}} now `wait`: milliseconds until the next attempt
 * @returns {[string, string]} the sentence, and a countdown that changes too often to be read out
 */
export function barWords(cause, { wait, isOnline }) {
  const reason = isOnline
    ? cause || gettext("You're offline.")
    : gettext("This device is offline.");
  const seconds = Math.ceil(wait / 1000);
  return [
    gettext("{reason} What you send is kept until you're connected.", { reason }),
    seconds > 0 ? gettext("Next try in {seconds} s", { seconds }) : gettext("Trying…"),
  ];
}

/** @param {number} waitMs until the next attempt */
export function againWords(waitMs) {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return ` ${gettext("Retrying in {seconds} s.", { seconds })}`;
}

/**
 * Condense who entered and left since the last message: each person's latest state only.
 * @param {Map<string, "joined" | "left">} people
 */
export function presenceWords(people) {
  const [joined = [], left = []] = ["joined", "left"].map((state) =>
    [...people].filter(([, now]) => now === state).map(([name]) => name),
  );
  return [
    joined.length &&
      ngettext("{names} joined", "{names} joined", joined.length, { names: someNames(joined) }),
    left.length &&
      ngettext("{names} left", "{names} left", left.length, { names: someNames(left) }),
  ]
    .filter(Boolean)
    .join(" · ");
}

/** @param {string[]} usernames */
function someNames(usernames) {
  const [first = "", second, ...others] = usernames.map((username) => shownNames.of(username));
  if (second === undefined) return first;
  if (others.length === 0) return gettext("{first} and {second}", { first, second });
  return ngettext("{first} and {count} other", "{first} and {count} others", others.length + 1, {
    first,
  });
}

/** Say who is writing in a room. @param {string[]} names */
export function typingWords(names) {
  if (names.length === 0) return "";
  return ngettext("{names} is writing …", "{names} are writing …", names.length, {
    names: someNames(names),
  });
}

/** @typedef {{unread: number, mentions: number}} Counts */

export const NOTIFYING_BLOCKED = /* @__PURE__ */ gettext(
  "Your browser blocks notifications of this site. Allow them in its settings for the site, then try again.",
);

export const PUSH_FAILED = /* @__PURE__ */ gettext(
  "This browser could not subscribe to messages for when the page is closed. Try again later.",
);

export const NOTIFYING_MISSING = /* @__PURE__ */ gettext("This browser can't show notifications.");

/**
 * What a notification says: the room, the author and the text, each in an isolate of its own.
 * @param {string} title
 * @param {{author: string, text: string, type: number, isDirect: boolean}} message
 */
export function notifyWords(title, { author, text, type, isDirect }) {
  if (type === 2) return { title: gettext("Alert in {room}", { room: title }), body: text };
  const isNamed = !isDirect && author !== "\u2068\u2069";
  return { title, body: isNamed ? `${author}: ${text}` : text };
}

/** What a user can choose to hear of a room. @type {["all" | "mentions" | "quiet", string][]} */
export const LEVELS = /* @__PURE__ */ (() => [
  ["all", pgettext("which messages notify", "All")],
  ["mentions", gettext("Mentions")],
  ["quiet", gettext("Quiet")],
])();

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
  const count = capped(unread);
  if (!mentions) return ngettext("{count} unread", "{count} unread", unread, { count });
  return ngettext(
    "{count} unread, {mentions} for you",
    "{count} unread, {mentions} for you",
    unread,
    { count, mentions: capped(mentions) },
  );
}

/**
 * The alert that waits for the reader, without its text while the room is not open.
 * @param {string} room its title
 * @param {string} text
 * @param {number} others how many more rooms have an alert
 */
export function alertLineWords(room, text, others) {
  if (!room) return "";
  const where = others
    ? ngettext(
        "Alert in {room} (and {count} more room)",
        "Alert in {room} (and {count} more rooms)",
        others,
        { room },
      )
    : gettext("Alert in {room}", { room });
  return text ? `${where}: ${isolate(text)}` : where;
}

/** Name the users who have confirmed an alert, and the one who said that it is over. @param {{confirmations: {count: number, users: Person[]}, resolution: Person | null}} alert */
export function confirmedWords({ confirmations: { count, users }, resolution }) {
  const names = users.slice(0, 2).map(authorWords);
  const over = resolution ? gettext("Over, says {name}", { name: authorWords(resolution) }) : "";
  return [over, count ? confirmedByWords(count, names) : ""].filter(Boolean).join(". ");
}

/** @param {number} count @param {string[]} names of the first */
function confirmedByWords(count, names) {
  const [first = "", second] = names;
  if (count > 2)
    return ngettext(
      "Confirmed by {names} and {count} more",
      "Confirmed by {names} and {count} more",
      count - 2,
      { names: names.map(isolate).join(", ") },
    );
  if (second) return gettext("Confirmed by {first} and {second}", { first, second });
  return gettext("Confirmed by {name}", { name: first });
}

/** Deleted messages below each other, in one line. @param {number} count */
export function deletedWords(count) {
  return ngettext("Message deleted", "{count} messages deleted", count);
}

/** The line across the panes that show the same moment. @param {number} time */
export function momentWords(time) {
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  return gettext("{time} in all panes", { time: clock.format(time) });
}

export const ALL_CAUGHT_UP = /* @__PURE__ */ gettext("All caught up");

/** @param {string} room its title @param {number} left unread rooms after this one */
export function catchUpWords(room, left) {
  if (left === 0) return gettext("{room}, the last unread room", { room });
  return ngettext("{room}, {count} more unread", "{room}, {count} more unread", left, { room });
}

export const PEEKED = /* @__PURE__ */ gettext(
  "Provisional. Write here or double-click the head to keep this pane.",
);

export const DELETE_MESSAGE = /* @__PURE__ */ gettext("Delete this message for everybody?");
export const DELETE_COPIES = /* @__PURE__ */ gettext(
  "Delete this message in all rooms that you sent it to?",
);

/** The button beside a room in the list. @param {string} room its title @param {boolean} isOpen */
export function toggleWords(room, isOpen) {
  return isOpen ? gettext("Close {room}", { room }) : gettext("Open {room}", { room });
}

/** @param {string} room its title @param {Counts & {isAnyUnread: boolean}} counts @param {boolean} hasAlert */
export function stripWords(room, counts, hasAlert) {
  const unread = unreadWords(counts) || (counts.isAnyUnread ? gettext("Unread") : "");
  const parts = [hasAlert ? gettext("Alert") : "", unread].filter(Boolean);
  const opened = gettext("Show {room} as a column", { room });
  return parts.length ? `${opened}, ${parts.join(", ")}` : opened;
}

/** @param {string} left the title of a room @param {string} right */
export function edgeWords(left, right) {
  return gettext("Edge between {left} and {right}", { left, right });
}

/** @param {string} room its title */
export function closedWords(room) {
  return gettext("{room} is closed.", { room });
}

/** @param {number} count @param {string} room */
export function newMessagesWords(count, room) {
  return ngettext("{count} new message in {room}", "{count} new messages in {room}", count, {
    room,
  });
}

/** How many choices a list has, for screen readers. @param {number} count */
export function choicesWords(count) {
  return ngettext("{count} suggestion", "{count} suggestions", count);
}

/** @param {number} count */
export function hereWords(count) {
  return ngettext("{count} person here", "{count} people here", count);
}

/** The message that a link leads to is not there. @param {boolean} wasThere */
export function missingMessageWords(wasThere) {
  return wasThere
    ? gettext("The linked message was deleted.")
    : gettext("The linked message doesn't exist.");
}

/** @param {Date} day */
export function noDayWords(day) {
  const date = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long" }).format(day);
  return gettext("There are no messages from {date} or later.", { date });
}

/** @param {number} count */
export function aboveWords(count) {
  return ngettext("{count} new above", "{count} new above", count, { count: capped(count) });
}

/** How many panes are out of view. @param {number} count */
export function overflowWords(count) {
  return ngettext("{count} more pane", "{count} more panes", count);
}

/** @param {number} count */
export function belowWords(count) {
  if (!count) return gettext("Jump to newest");
  return ngettext("{count} new below", "{count} new below", count, { count: capped(count) });
}

/** How many messages a search found. @param {number} count @param {boolean} hasMore */
export function resultsWords(count, hasMore) {
  if (count === 0) return gettext("No messages found.");
  return ngettext("{count} message", "{count} messages", count + Number(hasMore), {
    count: `${count}${hasMore ? "+" : ""}`,
  });
}

/** @param {string} words as typed */
export function searchWords(words) {
  return gettext("Search messages for “{words}”", { words });
}

/**
 * What of a room is printed. @param {string} from @param {string} to @param {{hasOlder: boolean, hasNewer: boolean}} edges
 */
export function heldWords(from, to, { hasOlder, hasNewer }) {
  const held = gettext("Messages from {from} to {to}.", { from, to });
  return hasOlder || hasNewer ? `${held} ${missingWords(hasOlder, hasNewer)}` : held;
}

/** @param {boolean} hasOlder @param {boolean} hasNewer */
function missingWords(hasOlder, hasNewer) {
  if (!hasNewer) return gettext("Older messages were not loaded and are not printed.");
  if (!hasOlder) return gettext("Newer messages were not loaded and are not printed.");
  return gettext("Older and newer messages were not loaded and are not printed.");
}
