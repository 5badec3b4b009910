/** What is read and what is not, in each room: told by the server, moved by what is seen here. */

/** @import {Send} from "./outbox.js" */
/** @import {Head} from "./protocol.js" */

/** Marked as unread, here or on another device: seeing does not read. `isSure`: the server has said so. @typedef {{isHere: boolean, isSure: boolean}} Hold */
/** `wish` was seen here and is not confirmed yet. @typedef {Head & {wish: number | null, hold: Hold | null}} State */

const SEND_AFTER_MS = 400;
const NOTHING = { unread: 0, mentions: 0 };

export class Unread {
  #send;
  /** @type {Map<string, State>} */
  #rooms = new Map();
  /** @type {Set<string>} */
  #unsent = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Counts of these rooms changed. @type {(rooms: string[]) => void} */
  onchange = () => {};
  /** The read position was moved elsewhere, or is known for the first time. @type {(room: string, read: number) => void} */
  onmoved = () => {};

  /** @param {Send} send */
  constructor(send) {
    this.#send = send;
  }

  /** The line is there (again): ask for all counts, and tell what was read meanwhile. */
  connected() {
    this.#send({ command: "watch" });
    for (const [room, { wish }] of this.#rooms) if (wish !== null) this.#unsent.add(room);
    this.#sendPositions();
  }

  /** @param {Record<string, Head>} heads */
  applyHeads(heads) {
    for (const [room, head] of Object.entries(heads)) this.#applyHead(room, head);
    this.onchange(Object.keys(heads));
  }

  /** @param {string} room @param {Head} head */
  #applyHead(room, head) {
    const before = this.#rooms.get(room);
    const wish = before?.wish ?? null;
    // Counted before what was seen here arrived.
    const isLate = before !== undefined && wish !== null && head.read < wish;
    const read = isLate ? before.read : head.read;
    const hold = isLate ? before.hold : holdAfter(before, head.read);
    this.#rooms.set(room, { ...head, read, wish: isLate ? wish : null, hold });
    if (before?.read !== read) this.onmoved(room, read);
  }

  /** Only these rooms are there. @param {string[]} rooms */
  setRooms(rooms) {
    const there = new Set(rooms);
    const gone = [...this.#rooms.keys()].filter((room) => !there.has(room));
    for (const room of gone) this.#rooms.delete(room);
    this.onchange(gone);
  }

  /** Undefined until the server told. @param {string} room */
  readOf(room) {
    return this.#rooms.get(room)?.read;
  }

  /** Whether there is nothing to read, as far as the server told. @param {string} room */
  isRead(room) {
    const state = this.#rooms.get(room);
    return state === undefined || state.read >= state.head;
  }

  /** What to show: nothing while all of it was seen here and the server is about to say so. @param {string} room */
  countsOf(room) {
    const state = this.#rooms.get(room);
    return state === undefined || state.read >= state.head ? NOTHING : state;
  }

  get total() {
    let { unread, mentions } = NOTHING;
    for (const room of this.#rooms.keys()) {
      const counts = this.countsOf(room);
      unread += counts.unread;
      mentions += counts.mentions;
    }
    return { unread, mentions };
  }

  /**
   * Everything up to this message was seen.
   * @param {string} room
   * @param {number} seq
   */
  markSeen(room, seq) {
    const state = this.#rooms.get(room);
    if (state === undefined || state.hold || seq <= state.read) return;
    state.read = state.wish = seq;
    this.#unsent.add(room);
    this.#timer ??= setTimeout(() => this.#sendPositions(), SEND_AFTER_MS);
    this.onchange([room]);
  }

  /** @param {string} room */
  markRead(room) {
    this.releaseHold(room);
    const state = this.#rooms.get(room);
    if (state) this.markSeen(room, state.head);
  }

  /**
   * Leave this message and what follows for later.
   * @param {string} room
   * @param {number} seq
   */
  markUnread(room, seq) {
    const state = this.#rooms.get(room);
    if (!state || !this.#send({ command: "read", room, seq: seq - 1, back: true })) return;
    this.#unsent.delete(room);
    state.wish = null;
    state.hold = { isHere: true, isSure: false };
    state.read = seq - 1;
    this.onmoved(room, state.read);
  }

  /** The reader turns to this room anew: what is seen is read again. @param {string} room */
  releaseHold(room) {
    const state = this.#rooms.get(room);
    if (state) state.hold = null;
  }

  /** The reader does something in this room: what only another device has left for later is read again. @param {string} room */
  releaseRemoteHold(room) {
    const state = this.#rooms.get(room);
    if (!state?.hold || state.hold.isHere) return false;
    state.hold = null;
    return true;
  }

  /**
   * Find the next room with something new, round and round.
   * @param {string[]} order
   * @param {string | null} from
   * @param {number} by 1 or -1
   */
  nextUnread(order, from, by) {
    const at = from === null ? (by > 0 ? -1 : 0) : order.indexOf(from);
    const turned = order.map((_, i) => order.at((at + by * (i + 1)) % order.length) ?? "");
    return turned.find((room) => room !== from && this.countsOf(room).unread > 0) ?? null;
  }

  #sendPositions() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const room of [...this.#unsent]) {
      const seq = this.#rooms.get(room)?.wish;
      if (!seq || this.#send({ command: "read", room, seq })) this.#unsent.delete(room);
    }
  }
}

/**
 * What remains marked as unread when the server tells the read position.
 * @param {State | undefined} before
 * @param {number} read
 * @returns {Hold | null}
 */
function holdAfter(before, read) {
  if (before === undefined) return null;
  const { hold } = before;
  if (read < before.read) return { isHere: hold?.isHere ?? false, isSure: true };
  if (hold === null || read === before.read) return hold && { ...hold, isSure: true };
  // Read on another device. Before the server has confirmed the mark, it may be what was read here before.
  return hold.isSure ? null : hold;
}
