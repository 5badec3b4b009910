/** The frames, both ways, and the limits of a message: docs/protocol.md as types. */

/** `kind`: only its members see it; `people`: the others in a direct room; `archived`: only in a join frame. @typedef {{id: string, title: string, staff_only: boolean, kind?: "members" | "direct", people?: string[], topic?: string, archived?: boolean}} Room */
/** `rooms`: how many panes a page may have, 0 for no limit. @typedef {{graphemes: number, bytes: number, rooms?: number, fileBytes?: number}} Limits */
/** @typedef {{join: string, title: string, head: number, floor: number, epoch: string, staff_only?: boolean, kind?: "members" | "direct", people?: string[], topic?: string, archived?: boolean, reset?: boolean, read?: number, alerts?: Posted[]}} JoinFrame */
/** @typedef {{leave: string, reason?: string}} LeaveFrame */
/** The message that a quote was taken from. @typedef {{room: string, seq: number}} Source */
/** A user whom a text mentions, and the name as the text spells it; without a user it is `all` or `here`. @typedef {{name: string, user?: number}} Mentioned */
/** @import {ShownUser} from "./names.js" */

/** A user by id, if there is one, and by the name they had. @typedef {{user?: number, username: string}} Person */
/** One emoji of a message: how many users gave it, some of them, and whether the reader did. @typedef {{emoji: string, count: number, users: Person[], own?: boolean}} Reactions */
/** The users who have confirmed an alert: how many, some of them, and whether the reader did. @typedef {{count: number, users: Person[], own?: boolean}} Confirmations */
/** The user who said that an alert is over. @typedef {{user?: number, username: string, seq: number, at: string}} Resolution */
/** @import {FileFacts} from "./files.js" */

/** The files that wait in a composer. `holds`: the message has to wait for them, and is then submitted; with `others`, also for their copies in other rooms. `roomsChanged`: the message goes to other rooms than before; `filesFor`: those of its own room, or of another; `take`: they belong to a message now. @typedef {{size: number, holds: (others?: Room[]) => boolean, filesFor: (room?: string) => FileFacts[], roomsChanged?: () => void, take: (others?: Room[]) => void}} Attached */
/** Only in history does it have `reactions`, and there and in a join frame `confirmations` and `resolution`. @typedef {{room: string, username: string, message: string | null, msg_type: number, seq: number, at: string, client_id?: string, edited_at?: string, deleted?: boolean, taken_back?: boolean, user?: number, reply_to?: number, across?: string, source?: Source, files?: FileFacts[], mentions?: Mentioned[], reactions?: Reactions[], confirmations?: Confirmations, resolution?: Resolution}} Posted */
/** @typedef {{room: string, edited: number, message: string | null, seq: number, at: string, client_id?: string, deleted?: boolean, mentions?: Mentioned[]}} Edited */
/** An edit without its text, because a later edit has replaced it. @typedef {{room: string, edited: number, overtaken: true, seq: number, at: string, client_id?: string}} Overtaken */
/** @typedef {{room: string, deleted: number, seq: number, at: string, client_id?: string, taken_back?: boolean}} Deleted */
/** @typedef {{room: string, reacted: number, emoji: string, username: string, user?: number, on: boolean, seq: number, at: string, client_id?: string}} Reacted */
/** @typedef {{room: string, confirmed: number, username: string, user?: number, seq: number, at: string, client_id?: string}} Confirmed */
/** @typedef {{room: string, resolved: number, username: string, user?: number, seq: number, at: string, client_id?: string}} Resolved */
/** @typedef {Posted | Edited | Overtaken | Deleted | Reacted | Confirmed | Resolved} Event */
/** @typedef {{room: string, username: string, message: null, msg_type: number}} Signal */
/** The people present: all of them, or who entered (true) and left (false). @typedef {{room: string, present: string[] | Record<string, boolean>}} PresentFrame */
/** Single messages of the room `quote`; `more`: the others did not fit. @typedef {{quote: string, events: Posted[], as_of: number, more?: boolean}} QuotedFrame */
/** Messages that mention the reader, newest first; `next`: the `before` of the next page. @typedef {{mentioned: Posted[], next?: number}} MentionsFrame */
/** The messages that share an `across`, in the rooms that the reader may enter. @typedef {{copies: string, messages: {room: string, seq: number, user?: number}[]}} CopiesFrame */
/** A user is writing. @typedef {{room: string, typing: string}} TypingFrame */
/** The events below `floor` have expired. @typedef {{room: string, floor: number}} FloorFrame */
/** @typedef {{ack: string, room: string, seq: number}} AckFrame */
/** @typedef {{history: string, events: Posted[], as_of: number, more: boolean, newer?: boolean}} HistoryFrame */
/** @typedef {{error: string, command?: string, room?: string, client_id?: string, detail?: string, retry_after?: number}} ErrorFrame */
/** The rooms the user may enter now. @typedef {{rooms: Room[]}} RoomsFrame */
/** `unread`: messages after `read` that others posted and that are not deleted; `mentions`: those that mention the user. 1000 means more than 999. `alerts`: the recent alerts that the user has not confirmed. `level`: what the user wants to hear of the room. @typedef {{head: number, read: number, unread: number, mentions: number, alerts?: number[], level?: "all" | "mentions" | "quiet"}} Head */
/** @typedef {{heads: Record<string, Head>}} HeadsFrame */
/** The message that a notification may show; none when another page shows it. @typedef {{notify: string, seq: number, event?: Posted}} NotifyFrame */
/** People who may enter a room and whose names begin like `prefix`: some of them; `all`: the reader may mention all users, and `all` or `here` begins like `prefix`. @typedef {{people: string, prefix: string, names: string[], all?: boolean}} NamesFrame */
/** Users by username, as they are shown; with `reset` others may have changed too. @typedef {{users: Record<string, ShownUser>, reset?: true}} UsersFrame */
/** How the page looks to its user. An empty clock is that of the language. @typedef {{theme: string, density: string, clock: string}} Appearance */
/** @typedef {{bye: {retry_ms: number}}} ByeFrame */

/**
 * A decoded frame, discriminated by `kind`.
 * @typedef {{kind: "join", frame: JoinFrame}
 *   | {kind: "leave", frame: LeaveFrame}
 *   | {kind: "event", frame: Event}
 *   | {kind: "signal", frame: Signal}
 *   | {kind: "present", frame: PresentFrame}
 *   | {kind: "typing", frame: TypingFrame}
 *   | {kind: "floor", frame: FloorFrame}
 *   | {kind: "quote", frame: QuotedFrame}
 *   | {kind: "copies", frame: CopiesFrame}
 *   | {kind: "mentioned", frame: MentionsFrame}
 *   | {kind: "ack", frame: AckFrame}
 *   | {kind: "history", frame: HistoryFrame}
 *   | {kind: "error", frame: ErrorFrame}
 *   | {kind: "rooms", frame: RoomsFrame}
 *   | {kind: "heads", frame: HeadsFrame}
 *   | {kind: "people", frame: NamesFrame}
 *   | {kind: "users", frame: UsersFrame}
 *   | {kind: "workspaces", frame: {workspaces: Record<string, number>}}
 *   | {kind: "around", frame: {around: number}}
 *   | {kind: "appearance", frame: {appearance: Appearance}}
 *   | {kind: "notify", frame: NotifyFrame}
 *   | {kind: "bye", frame: ByeFrame}
 *   | {kind: "pong", frame: {pong: true, version?: string}}
 *   | {kind: "unknown", frame: unknown}} Received
 */

/** @typedef {{since: number, epoch: string}} Cursor */

/** `epoch`: of the log that the message is in. @typedef {({command: "edit", room: string, seq: number, message: string, across?: string} | {command: "delete", room: string, seq: number, undo?: true, across?: string} | {command: "react", room: string, seq: number, emoji: string, on: boolean} | {command: "confirm" | "resolve", room: string, seq: number}) & {epoch?: string}} Change */

/** How a pane stands in the row: the width of its column in percent of an even one, as a strip, in the lower half of the column before it, and the height of that half in percent of an even one. A shape is never changed, but replaced. @typedef {{readonly width?: number, readonly strip?: boolean, readonly below?: boolean, readonly height?: number}} Shape */
/** Panes that were opened or moved, closed, widened, or have another shape. @typedef {{put: {room: string, after?: string | undefined, before?: string | undefined}[], close: string[], wide?: string, narrow?: string, shapes?: ({room: string} & Shape)[]}} LayoutChange */

/**
 * A command that the page sends.
 * @typedef {{command: "join", room: string}
 *   | {command: "leave", room: string}
 *   | {command: "send", room: string, message: string, client_id: string, reply_to?: number, across?: string, source?: Source, files?: string[], epoch?: string}
 *   | {command: "resume", rooms: Record<string, Cursor>}
 *   | {command: "history", room: string, before?: number, after?: number, around?: number, from?: string}
 *   | {command: "people", room: string, prefix: string}
 *   | {command: "watch"}
 *   | {command: "typing", room: string}
 *   | {command: "users", names: string[]}
 *   | {command: "quote", room: string, seqs: number[]}
 *   | {command: "copies", across: string}
 *   | {command: "mentions", before?: number, limit?: number}
 *   | {command: "read", room: string, seq: number, back?: true, epoch?: string}
 *   | {command: "read_older", before: string}
 *   | {command: "notify", room: string, seq: number, after: number}
 *   | {command: "level", room: string, level: "all" | "mentions" | "quiet"}
 *   | ({command: "layout"} & LayoutChange)
 *   | (Change & {client_id: string})
 *   | {command: "ping"}} Command
 */

export const MESSAGE = 0;
export const WARNING = 1;
export const ALERT = 2;
export const MUTED = 3;
export const ENTER = 4;
export const LEAVE = 5;

/** Close code: the web session is over, so sign in again and do not reconnect. */
export const CLOSE_SIGN_IN = 4401;

/** Keys that only one kind of frame has. `kindInRoom` tells frames with `room` apart. */
const OWN_KEYS = /** @type {const} */ ([
  "join",
  "leave",
  "ack",
  "history",
  "error",
  "bye",
  "pong",
  "rooms",
  "heads",
  "quote",
  "copies",
  "people",
  "notify",
  "mentioned",
  "users",
  "appearance",
  "around",
  "workspaces",
]);

/**
 * Decode a frame from the server. Anything unknown to this page has the kind `unknown`, so that a newer server
 * does not break an older page.
 * @param {string} text
 * @returns {Received}
 */
export function decode(text) {
  const frame = parse(text);
  if (frame === null || typeof frame !== "object") return { kind: "unknown", frame };
  const kind = OWN_KEYS.find((key) => Object.hasOwn(frame, key)) ?? kindInRoom(frame);
  return /** @type {Received} */ ({ kind, frame });
}

/** @param {object} frame */
function kindInRoom(frame) {
  if (!("room" in frame)) return "unknown";
  if ("seq" in frame) return "event";
  if ("present" in frame) return "present";
  if ("typing" in frame) return "typing";
  if ("floor" in frame) return "floor";
  return "msg_type" in frame ? "signal" : "unknown";
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {Event} event @returns {event is Posted} */
export function isPosted(event) {
  return "msg_type" in event;
}

/** @param {Event} event @returns {event is Edited} */
export function isEdited(event) {
  return "edited" in event && !isOvertaken(event);
}

/** @param {Event} event @returns {event is Overtaken} */
export function isOvertaken(event) {
  return "overtaken" in event;
}

/** @param {Event} event @returns {event is Reacted} */
export function isReacted(event) {
  return "reacted" in event;
}

/** @param {Event} event @returns {event is Confirmed} */
export function isConfirmed(event) {
  return "confirmed" in event;
}

/** @param {Event} event @returns {event is Resolved} */
export function isResolved(event) {
  return "resolved" in event;
}

/** Whether an event leaves its message's text as it is. @param {Event} event */
export function leavesText(event) {
  return isReacted(event) || isConfirmed(event) || isResolved(event);
}

/** Errors that mean "later": the message stays in the outbox. */
const TRANSIENT = new Set(["SERVER_UNAVAILABLE", "RATE_LIMITED"]);

/** Whether the server could not read the command that it refuses. @param {ErrorFrame} frame */
export function isUnreadable({ error, command, room, client_id }) {
  const about = command ?? room ?? client_id;
  return about === undefined && /^(JSON|COMMAND|MESSAGE)_/.test(error);
}

/** @param {ErrorFrame} frame */
export function isTransient(frame) {
  return frame.retry_after !== undefined || TRANSIENT.has(frame.error);
}

/** A longer wait is not about speed: it ends only when the user closes a room. */
const SOON_S = 30;

/** The commands that the page sends again by itself after a temporary refusal. */
const RETRIED = new Set(["join", "resume", "history", "send"]);

/** Whether the page retries the refused command in a moment. @param {ErrorFrame} frame */
export function isSoon(frame) {
  const isRetried = RETRIED.has(frame.command ?? "") && isTransient(frame);
  return isRetried && (frame.retry_after ?? 0) < SOON_S;
}

/** A lone half of a surrogate pair has no UTF-8 encoding, so the server could not even read the frame. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** White space, control and invisible format characters alone are an empty message, as in chat.store.actions. */
const BLANK = /^[\s\p{Cc}\p{Cf}\p{Z}]*$/u;

/**
 * Return the code with which the server would refuse a text, or null. Graphemes are limited for people, bytes for
 * the wire.
 * @param {string} text
 * @param {Limits} limits
 */
export function refusalOf(text, limits) {
  if (text.length > limits.bytes) return "MESSAGE_TOO_LONG"; // a character takes at least one byte
  if (text.includes("\0") || LONE_SURROGATE.test(text)) return "MESSAGE_INVALID";
  if (BLANK.test(text)) return "MESSAGE_EMPTY";
  if (new TextEncoder().encode(text).length > limits.bytes) return "MESSAGE_TOO_LONG";
  if (text.length <= limits.graphemes) return null; // there are never more graphemes than code units
  return countGraphemes(text, limits.graphemes) > limits.graphemes ? "MESSAGE_TOO_LONG" : null;
}

/**
 * Count graphemes, which people call characters, and stop just above `max`.
 * @param {string} text
 * @param {number} max
 */
export function countGraphemes(text, max) {
  let count = 0;
  for (const _ of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
    count += 1;
    if (count > max) break;
  }
  return count;
}
