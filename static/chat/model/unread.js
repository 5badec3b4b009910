/** Read positions and unread counts of all rooms: sent by the server, moved by what the user sees here. */

/** @import {Send} from "./outbox.js" */
/** @import {Head} from "./protocol.js" */
/** @import {Counts} from "./strings.js" */

/** What the user wants to hear of a room. @typedef {NonNullable<Head["level"]>} Level */
/** The user marked messages as unread, here or on another device, so seeing them does not mark them as read. `isSure`: the server has confirmed it. @typedef {{isHere: boolean, isSure: boolean}} Hold */
/** `unconfirmed`: the read position of this page that the server has not confirmed. `epoch`: of the log in which it is. @typedef {Head & {unconfirmed: number | null, epoch?: string | undefined, hold: Hold | null}} State */

const SEND_AFTER_MS = 400;
const MOST_SENT_AT_ONCE = 16;
const NOTHING = { unread: 0, mentions: 0 };
/** What counts at each level. Alerts are shown besides. @type {Record<Level, (counts: Counts) => Counts>} */
const COUNTED = {
  all: (counts) => counts,
  mentions: ({ mentions }) => ({ unread: mentions, mentions }),
  quiet: () => NOTHING,
};

export class Unread {
  #send;
  /** @type {Map<string, State>} */
  #rooms = new Map();
  /** @type {Set<string>} */
  #unsent = new Set();
  /** Levels that were set without a connection. @type {Map<string, Level>} */
  #unsentLevels = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Called when the counts of these rooms changed. @type {(rooms: string[]) => void} */
  onchange = () => {};
  /** Called when a read position was moved elsewhere, or is known for the first time. @type {(room: string, read: number) => void} */
  onmoved = () => {};

  /** The epoch of the log that is shown of a room. @type {(room: string) => string | undefined} */
  epochOf = () => undefined;

  /** @param {Send} send */
  constructor(send) {
    this.#send = send;
  }

  /** The connection is open again: ask for all counts, and send what was read meanwhile. */
  connected() {
    this.#send({ command: "watch" });
    for (const [room, level] of this.#unsentLevels)
      if (this.#send({ command: "level", room, level })) this.#unsentLevels.delete(room);
    for (const [room, { unconfirmed }] of this.#rooms)
      if (unconfirmed !== null) this.#unsent.add(room);
    this.#sendPositions();
  }

  /** @param {Record<string, Head>} heads */
  applyHeads(heads) {
    for (const [room, head] of Object.entries(heads)) this.#applyHead(room, head);
    this.onchange(Object.keys(heads));
  }

  /** @param {string} room @param {Head} head */
  #applyHead(room, head) {
    const old = this.#rooms.get(room);
    const unconfirmed = old?.unconfirmed ?? null;
    const epoch = this.epochOf(room);
    const isOtherLog = old?.epoch !== undefined && epoch !== undefined && old.epoch !== epoch;
    // The server counted before this page's read position arrived.
    const isLate =
      old !== undefined && unconfirmed !== null && head.read < unconfirmed && !isOtherLog;
    const read = isLate ? old.read : head.read;
    const hold = isLate ? old.hold : holdAfter(isOtherLog ? undefined : old, head.read);
    const level = this.#unsentLevels.get(room) ?? head.level ?? "all";
    const own = isLate ? { unconfirmed, epoch: old.epoch } : { unconfirmed: null };
    this.#rooms.set(room, { ...head, level, read, hold, ...own });
    if (old?.read !== read) this.onmoved(room, read);
  }

  /** Forget all rooms but these. @param {string[]} rooms */
  setRooms(rooms) {
    const kept = new Set(rooms);
    const removed = [...this.#rooms.keys()].filter((room) => !kept.has(room));
    for (const room of removed) this.#rooms.delete(room);
    this.onchange(removed);
  }

  /** The read position; undefined until the server sent it. @param {string} room */
  readOf(room) {
    return this.#rooms.get(room)?.read;
  }

  /** The heads of all rooms, as far as they are known. */
  get heads() {
    return [...this.#rooms].map(([room, { head }]) => /** @type {const} */ ([room, head]));
  }

  /** Whether there is nothing to read, as far as is known. @param {string} room */
  isRead(room) {
    const state = this.#rooms.get(room);
    return state === undefined || state.read >= state.head;
  }

  /** @param {string} room @returns {Level} */
  levelOf(room) {
    return this.#rooms.get(room)?.level ?? "all";
  }

  /** The user chooses what to hear of a room. It is shown at once, and the server tells the user's other pages. @param {string} room @param {Level} level */
  setLevel(room, level) {
    const state = this.#rooms.get(room);
    if (!state) return;
    state.level = level;
    if (!this.#send({ command: "level", room, level })) this.#unsentLevels.set(room, level);
    this.onchange([room]);
  }

  /** What of a room's counts counts at its level. @param {string} room @returns {Counts} */
  countedOf(room) {
    return COUNTED[this.levelOf(room)](this.countsOf(room));
  }

  /** The counts, whatever the room's level: nothing when all was read here, even before the server has confirmed it. @param {string} room */
  countsOf(room) {
    const state = this.#rooms.get(room);
    return state === undefined || state.read >= state.head ? NOTHING : state;
  }

  /** Rooms with unread messages that count: those with alerts first, whatever their level, then those with mentions, then by size. */
  get unreadRooms() {
    /** @param {string} room */
    const weight = (room) => {
      const { unread, mentions } = this.countedOf(room);
      const hasAlert = !this.isRead(room) && this.#rooms.get(room)?.alerts?.length;
      return (hasAlert ? 1e6 : 0) + (mentions ? 1e5 : 0) + unread;
    };
    return [...this.#rooms.keys()].filter(weight).sort((a, b) => weight(b) - weight(a));
  }

  get total() {
    let { unread, mentions } = NOTHING;
    for (const room of this.#rooms.keys()) {
      const counts = this.countedOf(room);
      unread += counts.unread;
      mentions += counts.mentions;
    }
    return { unread, mentions };
  }

  /**
   * The user has seen everything up to this message.
   * @param {string} room
   * @param {number} seq
   */
  markSeen(room, seq) {
    const state = this.#rooms.get(room);
    if (state === undefined || state.hold || seq <= state.read) return;
    state.read = state.unconfirmed = seq;
    state.epoch = this.epochOf(room);
    this.#unsent.add(room);
    this.#timer ??= setTimeout(() => this.#sendPositions(), SEND_AFTER_MS);
    this.onchange([room]);
  }

  /** What is older counts as read, in all rooms. The server knows which messages these are. @param {Date} before @returns {boolean} whether it was sent */
  markOlderRead(before) {
    return this.#send({ command: "read_older", before: before.toISOString() });
  }

  /** @param {string} room */
  markRead(room) {
    this.releaseHold(room);
    const state = this.#rooms.get(room);
    if (state) this.markSeen(room, state.head);
  }

  /**
   * Mark this message and those after it as unread.
   * @param {string} room
   * @param {number} seq
   */
  markUnread(room, seq) {
    const state = this.#rooms.get(room);
    const epoch = this.epochOf(room);
    const position = { room, seq: seq - 1, ...(epoch && { epoch }) };
    if (!state || !this.#send({ command: "read", back: true, ...position })) return;
    this.#unsent.delete(room);
    state.unconfirmed = null;
    state.hold = { isHere: true, isSure: false };
    state.read = seq - 1;
    this.onmoved(room, state.read);
  }

  /** The user comes back to this room: messages seen from now on are read. @param {string} room */
  releaseHold(room) {
    const state = this.#rooms.get(room);
    if (state) state.hold = null;
  }

  /** The user does something in this room, which ends a mark of another device, but not one made here. @param {string} room */
  releaseRemoteHold(room) {
    const state = this.#rooms.get(room);
    if (!state?.hold || state.hold.isHere) return false;
    state.hold = null;
    return true;
  }

  /**
   * Find the next room with unread messages, going round.
   * @param {string[]} order
   * @param {string | null} from
   * @param {number} step 1 or -1
   */
  nextUnread(order, from, step) {
    const start = from === null ? (step > 0 ? -1 : 0) : order.indexOf(from);
    const rotated = order.map((_, i) => order.at((start + step * (i + 1)) % order.length) ?? "");
    return rotated.find((room) => room !== from && this.countedOf(room).unread > 0) ?? null;
  }

  #sendPositions() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // In portions, because a user may mark a thousand rooms as read at once.
    let isSent = true;
    for (const room of [...this.#unsent].slice(0, MOST_SENT_AT_ONCE)) {
      const { unconfirmed: seq, epoch } = this.#rooms.get(room) ?? {};
      isSent = !seq || this.#send({ command: "read", room, seq, ...(epoch && { epoch }) });
      if (isSent) this.#unsent.delete(room);
      else break; // the connection is down, and `connected` sends the rest
    }
    if (this.#unsent.size > 0 && isSent)
      this.#timer = setTimeout(() => this.#sendPositions(), SEND_AFTER_MS);
  }
}

/**
 * Decide whether messages stay marked as unread when the server sends a read position.
 * @param {State | undefined} old
 * @param {number} read
 * @returns {Hold | null}
 */
function holdAfter(old, read) {
  if (old === undefined) return null;
  const { hold } = old;
  if (read < old.read) return { isHere: hold?.isHere ?? false, isSure: true };
  if (hold === null || read === old.read) return hold && { ...hold, isSure: true };
  // The messages were read on another device. An unconfirmed mark stays: the position may be from before it.
  return hold.isSure ? null : hold;
}
