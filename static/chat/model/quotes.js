/** Single messages that others refer to: quoted and answered ones. They are asked for together, and kept as they came. */

/** @import {Send} from "./outbox.js" */
/** @import {Posted, QuotedFrame} from "./protocol.js" */

/** The most messages in one command, as on the server. */
const MOST = 50;

export class Quotes {
  #send;
  /** By room and seq; null: there is no such message, or the reader may not see it. @type {Map<string, Map<number, Posted | null>>} */
  #known = new Map();
  /** What was asked for and not answered, by room. @type {Map<string, Set<number>>} */
  #asked = new Map();
  /** What is asked for next, by room. @type {Map<string, Set<number>>} */
  #wanted = new Map();
  #isDue = false;
  /** Called when messages of a room have come, or are known to be missing. @type {(room: string, seqs: number[]) => void} */
  onchange = () => {};

  /** @param {Send} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * Return a message; null if there is none for this reader, and undefined while it is asked for.
   * @param {string} room
   * @param {number} seq
   */
  messageOf(room, seq) {
    const known = this.#known.get(room)?.get(seq);
    if (known === undefined && !this.#asked.get(room)?.has(seq)) this.#want(room, seq);
    return known;
  }

  /** The message may have changed: ask for it again when it is needed. @param {string} room @param {number} seq */
  forget(room, seq) {
    this.#known.get(room)?.delete(seq);
  }

  /** Its log may be another one now. @param {string} room */
  forgetRoom(room) {
    this.#known.delete(room);
  }

  /** @param {QuotedFrame} frame */
  applyFrame({ quote: room, events, more }) {
    for (const event of events) this.#set(room, event.seq, event);
    const asked = this.#asked.get(room) ?? new Set();
    // Another part of the page may ask too. Its answer says nothing about what is missing here.
    if (events.length && !events.some(({ seq }) => asked.has(seq)))
      return this.onchange(
        room,
        events.map(({ seq }) => seq),
      );
    for (const { seq } of events) asked.delete(seq);
    // Without `more`, the others do not exist. With it they did not fit, and are asked for again.
    const rest = [...asked];
    this.#asked.delete(room);
    if (more) for (const seq of rest) this.#want(room, seq);
    else for (const seq of rest) this.#set(room, seq, null);
    this.#askSoon();
    this.onchange(room, [...events.map(({ seq }) => seq), ...(more ? [] : rest)]);
  }

  /** The reader may not enter the room. @param {string} room */
  refused(room) {
    const asked = [...(this.#asked.get(room) ?? [])];
    this.#asked.delete(room);
    for (const seq of asked) this.#set(room, seq, null);
    this.#askSoon();
    this.onchange(room, asked);
  }

  /** The connection is open again: ask for what was not answered. */
  connected() {
    for (const [room, seqs] of this.#asked) for (const seq of seqs) this.#want(room, seq);
    this.#asked.clear();
    this.#askSoon();
  }

  /** @param {string} room @param {number} seq @param {Posted | null} message */
  #set(room, seq, message) {
    const known = this.#known.get(room) ?? new Map();
    this.#known.set(room, known.set(seq, message));
  }

  /** @param {string} room @param {number} seq */
  #want(room, seq) {
    const wanted = this.#wanted.get(room) ?? new Set();
    this.#wanted.set(room, wanted.add(seq));
    this.#askSoon();
  }

  #askSoon() {
    if (this.#isDue || !this.#wanted.size) return;
    this.#isDue = true;
    queueMicrotask(() => this.#ask());
  }

  /** One command of a room at a time, so that its answer names what is missing. */
  #ask() {
    this.#isDue = false;
    for (const [room, wanted] of this.#wanted) {
      if (this.#asked.has(room)) continue;
      const seqs = [...wanted].slice(0, MOST);
      if (!this.#send({ command: "quote", room, seqs })) continue;
      this.#asked.set(room, new Set(seqs));
      for (const seq of seqs) wanted.delete(seq);
      if (!wanted.size) this.#wanted.delete(room);
    }
  }
}
