/** Frame shapes, both ways, and the limits of a message: docs/protocol.md in types. */

/** @typedef {{id: string, title: string, staff_only: boolean}} Room */
/** `rooms`: panes of a page, 0 for any number. @typedef {{graphemes: number, bytes: number, rooms?: number}} Limits */
/** @typedef {{join: string, title: string, head: number, floor: number, epoch: string, staff_only?: boolean, reset?: boolean, read?: number, alerts?: Posted[]}} JoinFrame */
/** @typedef {{leave: string, reason?: string}} LeaveFrame */
/** @typedef {{room: string, username: string, message: string | null, msg_type: number, seq: number, at: string, client_id?: string, edited_at?: string, deleted?: boolean, user?: number}} Posted */
/** @typedef {{room: string, edited: number, message: string | null, seq: number, at: string, client_id?: string, deleted?: boolean}} Edited */
/** An edit whose text is gone, because a later one has replaced it. @typedef {{room: string, edited: number, overtaken: true, seq: number, at: string, client_id?: string}} Overtaken */
/** @typedef {{room: string, deleted: number, seq: number, at: string, client_id?: string}} Deleted */
/** @typedef {Posted | Edited | Overtaken | Deleted} Event */
/** @typedef {{room: string, username: string, message: null, msg_type: number}} Signal */
/** Who is here: all of them, or who came (true) and went (false). @typedef {{room: string, present: string[] | Record<string, boolean>}} PresentFrame */
/** @typedef {{ack: string, room: string, seq: number}} AckFrame */
/** @typedef {{history: string, events: Posted[], as_of: number, more: boolean, newer?: boolean}} HistoryFrame */
/** @typedef {{error: string, command?: string, room?: string, client_id?: string, detail?: string, retry_after?: number}} ErrorFrame */
/** The rooms the user may enter now. @typedef {{rooms: Room[]}} RoomsFrame */
/** `unread`: posted, not deleted, of others, after `read`; `mentions`: those of them that name the user; 1000 means more than 999. @typedef {{head: number, read: number, unread: number, mentions: number}} Head */
/** @typedef {{heads: Record<string, Head>}} HeadsFrame */
/** @typedef {{bye: {retry_ms: number}}} ByeFrame */

/**
 * What came, told apart by `kind`.
 * @typedef {{kind: "join", frame: JoinFrame}
 *   | {kind: "leave", frame: LeaveFrame}
 *   | {kind: "event", frame: Event}
 *   | {kind: "signal", frame: Signal}
 *   | {kind: "present", frame: PresentFrame}
 *   | {kind: "ack", frame: AckFrame}
 *   | {kind: "history", frame: HistoryFrame}
 *   | {kind: "error", frame: ErrorFrame}
 *   | {kind: "rooms", frame: RoomsFrame}
 *   | {kind: "heads", frame: HeadsFrame}
 *   | {kind: "bye", frame: ByeFrame}
 *   | {kind: "pong", frame: {pong: true, version?: string}}
 *   | {kind: "unknown", frame: unknown}} Received
 */

/** @typedef {{since: number, epoch: string}} Cursor */

/** @typedef {{command: "edit", room: string, seq: number, message: string} | {command: "delete", room: string, seq: number}} Change */

/** Panes that were opened or moved, closed, widened. @typedef {{put: {room: string, after?: string | undefined, before?: string | undefined}[], close: string[], wide?: string, narrow?: string}} LayoutChange */

/**
 * What the page asks.
 * @typedef {{command: "join", room: string}
 *   | {command: "leave", room: string}
 *   | {command: "send", room: string, message: string, client_id: string}
 *   | {command: "resume", rooms: Record<string, Cursor>}
 *   | {command: "history", room: string, before?: number, after?: number, around?: number, from?: string}
 *   | {command: "watch"}
 *   | {command: "read", room: string, seq: number, back?: true}
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

/** The session is over: sign in again, do not reconnect. */
export const CLOSE_SIGN_IN = 4401;

/** Keys that only one kind of frame has. Frames with `room` are told apart below. */
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
]);

/**
 * Tell what a text from the server is. Anything this page does not know is
 * `unknown`, so that a newer server does not break an older page.
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
  return "username" in event;
}

/** @param {Event} event @returns {event is Edited} */
export function isEdited(event) {
  return "edited" in event && !isOvertaken(event);
}

/** @param {Event} event @returns {event is Overtaken} */
export function isOvertaken(event) {
  return "overtaken" in event;
}

/** Errors that say "later", not "no": the text stays in the outbox. */
const TRANSIENT = new Set(["SERVER_UNAVAILABLE", "RATE_LIMITED"]);

/** The server could not make out which command it refuses. @param {ErrorFrame} frame */
export function isUnreadable({ error, command, room, client_id }) {
  const about = command ?? room ?? client_id;
  return about === undefined && /^(JSON|COMMAND|MESSAGE)_/.test(error);
}

/** @param {ErrorFrame} frame */
export function isTransient(frame) {
  return frame.retry_after !== undefined || TRANSIENT.has(frame.error);
}

/** A longer wait is no matter of pace: it ends when the user closes something. */
const SOON_S = 30;

/** What the page sends again by itself when it was refused for now. */
const RETRIED = new Set(["join", "resume", "history", "send"]);

/** Whether it goes on by itself in a moment. @param {ErrorFrame} frame */
export function isSoon(frame) {
  const isRetried = RETRIED.has(frame.command ?? "") && isTransient(frame);
  return isRetried && (frame.retry_after ?? 0) < SOON_S;
}

/** Halves of surrogate pairs: they have no UTF-8, so the server could not even read the frame. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** White space, controls and invisible format characters alone say nothing: as in chat.store.actions. */
const BLANK = /^[\s\p{Cc}\p{Cf}\p{Z}]*$/u;

/**
 * Name the code that the server would refuse a text with, or null.
 * People count graphemes; the wire counts bytes.
 * @param {string} text
 * @param {Limits} limits
 */
export function refusalOf(text, limits) {
  if (text.length > limits.bytes) return "MESSAGE_TOO_LONG"; // a character takes a byte at least
  if (text.includes("\0") || LONE_SURROGATE.test(text)) return "MESSAGE_INVALID";
  if (BLANK.test(text)) return "MESSAGE_EMPTY";
  if (new TextEncoder().encode(text).length > limits.bytes) return "MESSAGE_TOO_LONG";
  if (text.length <= limits.graphemes) return null; // never fewer code units than graphemes
  return countGraphemes(text, limits.graphemes) > limits.graphemes ? "MESSAGE_TOO_LONG" : null;
}

/**
 * Count what people call characters, up to just above `most`.
 * @param {string} text
 * @param {number} most
 */
export function countGraphemes(text, most) {
  let count = 0;
  for (const _ of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
    count += 1;
    if (count > most) break;
  }
  return count;
}
