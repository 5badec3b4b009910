/** Asks the server for people who may enter a room, by the beginning of their names. */

import { CALLS } from "./mentions.js";

/** @import {Send} from "./outbox.js" */
/** @import {ErrorFrame, NamesFrame} from "./protocol.js" */

/** An answer with fewer names has all that begin like its prefix. */
const MAX_NAMES = 20;
/** For so long an answer holds, because rights may change. */
const ANSWER_MS = 30_000;

/** @typedef {{names: string[], at: number}} Answer */

export class PeopleSearch {
  #send;
  #now;
  /** The callers that wait for an answer, by room and prefix. @type {Map<string, ((names: string[]) => void)[]>} */
  #waiting = new Map();
  /** @type {Map<string, Answer>} */
  #answers = new Map();
  /** Rooms in which the reader may mention all users, as far as it was asked. @type {Set<string>} */
  #calls = new Set();

  /** @param {Send} send @param {() => number} [now] */
  constructor(send, now = Date.now) {
    this.#send = send;
    this.#now = now;
  }

  /**
   * Return names that begin like the prefix, perhaps among others; none while the connection is down.
   * @param {string} room
   * @param {string} prefix
   * @returns {Promise<string[]>}
   */
  async find(room, prefix) {
    const known = this.#known(room, prefix);
    if (known) return known;
    const key = keyOf(room, prefix);
    return await new Promise((resolve) => {
      const waiting = this.#waiting.get(key);
      if (waiting) waiting.push(resolve);
      else if (this.#send({ command: "people", room, prefix })) this.#waiting.set(key, [resolve]);
      else resolve([]);
    });
  }

  /** Whether the reader may write `@all` and `@here`, after names were found in the room. @param {string} room */
  mayCall(room) {
    return this.#calls.has(room);
  }

  /** @param {NamesFrame} frame */
  answered({ people: room, prefix, names, all }) {
    if (all) this.#calls.add(room);
    // The answer to any other prefix says nothing about it.
    else if (CALLS.some((name) => name.startsWith(prefix.toLowerCase()))) this.#calls.delete(room);
    const key = keyOf(room, prefix);
    if (this.#answers.size > 100) this.#answers.clear();
    this.#answers.set(key, { names, at: this.#now() });
    this.#settle(key, names);
  }

  /** The server refused a question about a room: too many, or the room was left. @param {ErrorFrame} frame */
  refused({ room }) {
    for (const key of [...this.#waiting.keys()])
      if (room === undefined || key.startsWith(`${room} `)) this.#settle(key, []);
  }

  connectionLost() {
    this.refused({ error: "" });
    this.#answers.clear();
  }

  /** The answer to this prefix, or one to a shorter prefix that has all names. @param {string} room @param {string} prefix */
  #known(room, prefix) {
    for (let length = prefix.length; length >= 0; length -= 1) {
      const answer = this.#answers.get(keyOf(room, prefix.slice(0, length)));
      const isFresh = answer && this.#now() - answer.at < ANSWER_MS;
      if (isFresh && (length === prefix.length || answer.names.length < MAX_NAMES))
        return answer.names;
    }
    return null;
  }

  /** @param {string} key @param {string[]} names */
  #settle(key, names) {
    for (const resolve of this.#waiting.get(key) ?? []) resolve(names);
    this.#waiting.delete(key);
  }
}

/** @param {string} room @param {string} prefix */
function keyOf(room, prefix) {
  return `${room} ${prefix}`;
}
