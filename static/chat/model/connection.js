/** The page's only connection to the server: reconnecting-websocket with a heartbeat and close codes, without buffering. */

import { CLOSE_SIGN_IN, decode } from "./protocol.js";

/** @import {Command, ErrorFrame, Received} from "./protocol.js" */
/** @import {Options} from "reconnecting-websocket" */

/** @typedef {"connecting" | "open" | "waiting" | "returning" | "signed out"} State */
/** @typedef {{stateChanged: (state: State, retryAt: number) => void, frameReceived: (received: Received) => void}} Listener */
/** The part of reconnecting-websocket that is used. @typedef {Pick<WebSocket, "send" | "close" | "onopen" | "onclose" | "onmessage"> & {reconnect: (code?: number, reason?: string) => void}} Socket */
/** @typedef {(url: () => Promise<string>, options: Options) => Socket} OpenSocket */

const PING_EVERY_MS = 20_000;
/** After 20 s of silence and 8 s without an answer, a dead connection is noticed within 30 s. */
const ANSWER_WITHIN_MS = 8_000;
/** After waking, the user is looking at the page, so wait less. */
const ANSWER_WITHIN_AWAKE_MS = 5_000;
/** The timer ticks every second; a longer gap means that the machine slept. */
const SLEPT_MS = 5_000;
const STABLE_MS = 10_000;
/** After a `bye`, the server has this long to return before the page shows that it is offline. */
const RETURN_WITHIN_MS = 10_000;

/**
 * Draw the wait before attempt n, with full jitter, so that many pages do not reconnect at once.
 * @param {number} n
 * @param {number} random in [0, 1)
 * @returns {number} milliseconds
 */
export function backoff(n, random) {
  return random * Math.min(30_000, 1000 * 2 ** Math.min(n, 16));
}

export class Connection {
  /** @type {State} */
  state = "connecting";
  retryAt = 0;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {Listener | null} */
  #listener = null;
  #url;
  #openSocket;
  #tries = 0;
  /** The wait before the next attempt, drawn at random when it is null. @type {number | null} */
  #nextDelay = 0;
  #openedAt = 0;
  #heardAt = 0;
  #tickedAt = 0;
  #probeEndsAt = Number.POSITIVE_INFINITY;
  #troubleFrom = 0;
  /** After the server refused a flood, no attempt is made before this time. */
  #slowUntil = 0;
  /** Ends the current wait. */
  #endWait = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #clock;

  /**
   * @param {string} url absolute, ws or wss
   * @param {OpenSocket} openSocket
   * @param {() => number} clock milliseconds, monotonic
   */
  constructor(url, openSocket, clock = () => performance.now()) {
    this.#url = url;
    this.#openSocket = openSocket;
    this.#clock = clock;
  }

  /** @param {Listener} listener */
  start(listener) {
    this.#listener = listener;
    this.#tickedAt = Date.now();
    this.#connect();
  }

  /** The user of this page has signed in again. */
  signedInAgain() {
    if (this.state !== "signed out") return;
    this.#nextDelay = 0;
    this.#tries = 0;
    this.state = "connecting";
    this.#listener?.stateChanged(this.state, 0);
    // A new socket is needed, because one that was closed while it waited for its URL never connects again.
    this.#connect();
  }

  #connect() {
    // No queue, because it would be flushed before the rooms are joined again. No delay of the library's
    // own, because it is drawn once per page and has no jitter: #nextUrl waits instead.
    this.#socket = this.#openSocket(() => this.#nextUrl(), {
      maxEnqueuedMessages: 0,
      minReconnectionDelay: 0,
      maxReconnectionDelay: 0,
      connectionTimeout: 10_000,
    });
    this.#socket.onopen = () => this.#opened();
    this.#socket.onclose = ({ code }) => this.#closed(code);
    this.#socket.onmessage = ({ data }) => this.#received(data);
  }

  /**
   * Send at once or not at all.
   * @param {Command} command
   */
  send(command) {
    if (this.state !== "open" || this.#socket === null) return false;
    this.#socket.send(JSON.stringify(command));
    return true;
  }

  /** Check the connection at once: on `online`, when the page becomes visible, and after sleep. */
  wake() {
    if (this.#clock() < this.#slowUntil) return;
    if (this.state === "waiting" || this.state === "returning") this.#endWait();
    else if (this.state === "open") this.#probe(ANSWER_WITHIN_AWAKE_MS);
  }

  /** Once a second. */
  tick() {
    const now = this.#clock();
    const slept = Date.now() - this.#tickedAt > SLEPT_MS;
    this.#tickedAt = Date.now();
    // Checked first, because a hidden tab ticks once a minute, so that each tick looks like waking.
    if (now >= this.#probeEndsAt) this.#giveUp();
    else if (slept) this.wake();
    else if (this.state === "open" && now - this.#heardAt >= PING_EVERY_MS)
      this.#probe(ANSWER_WITHIN_MS);
  }

  /** Return the URL for the next attempt when it is due. Waiting here can be ended early. */
  #nextUrl() {
    // A socket that was closed for good may still call this.
    if (this.state === "signed out")
      return new Promise((/** @type {(url: string) => void} */ _) => {});
    const delay = this.#nextDelay ?? backoff(this.#tries, Math.random());
    this.#nextDelay = null;
    this.#tries += 1;
    return new Promise((/** @type {(url: string) => void} */ resolve) => {
      this.#timer = setTimeout(() => this.#endWait(), delay);
      this.#endWait = () => {
        clearTimeout(this.#timer);
        this.#setState("connecting");
        resolve(this.#url);
      };
      const state = this.#clock() < this.#troubleFrom ? "returning" : "waiting";
      if (delay > 0) this.#setState(state, this.#clock() + delay);
    });
  }

  /** The state becomes "open" only with the first answer, because the server closes a connection with another user's cookie. */
  #opened() {
    this.#openedAt = this.#clock();
    this.#socket?.send(JSON.stringify({ command: "ping" }));
    this.#probeEndsAt = this.#openedAt + ANSWER_WITHIN_MS;
  }

  /** @param {number} code */
  #closed(code) {
    this.#probeEndsAt = Number.POSITIVE_INFINITY;
    if (this.state === "signed out") return;
    if (this.state === "open" && this.#clock() - this.#openedAt >= STABLE_MS) this.#tries = 0;
    if (code !== CLOSE_SIGN_IN) return this.#setState("connecting");
    this.#setState("signed out");
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** @param {unknown} data */
  #received(data) {
    this.#heardAt = this.#clock();
    this.#probeEndsAt = Number.POSITIVE_INFINITY;
    const received = decode(String(data));
    if (received.kind === "pong" && this.state === "connecting") this.#setState("open");
    if (received.kind === "bye") this.#expectReturn(received.frame.bye.retry_ms);
    if (received.kind === "error") this.#slowDown(received.frame);
    this.#listener?.frameReceived(received);
  }

  /** The server announced its shutdown and when to return. @param {number} retryMs */
  #expectReturn(retryMs) {
    this.#nextDelay = retryMs;
    this.#troubleFrom = this.#clock() + retryMs + RETURN_WITHIN_MS;
  }

  /** This page sent too much, and the server is about to close with 4429: nothing shortens this wait. @param {ErrorFrame} frame */
  #slowDown({ error, command, retry_after }) {
    if (error !== "RATE_LIMITED" || command !== undefined || retry_after === undefined) return;
    this.#nextDelay = retry_after * 1000 * (1 + Math.random());
    this.#slowUntil = this.#clock() + this.#nextDelay;
  }

  #giveUp() {
    this.#probeEndsAt = Number.POSITIVE_INFINITY;
    if (this.state === "open") this.#nextDelay = 0; // the server refused nothing, so there is no reason to wait
    this.#socket?.reconnect(4000, "no answer");
  }

  /** @param {number} answerWithin */
  #probe(answerWithin) {
    this.#probeEndsAt = Math.min(this.#probeEndsAt, this.#clock() + answerWithin);
    this.#heardAt = this.#clock(); // so that the next ping is due a whole period later
    this.send({ command: "ping" });
  }

  /** @param {State} state @param {number} retryAt */
  #setState(state, retryAt = 0) {
    // "signed out" is final until the user is back. (The socket asks for its next URL before it reports the close.)
    if (this.state === "signed out" || (state === this.state && retryAt === this.retryAt)) return;
    this.state = state;
    this.retryAt = retryAt;
    this.#listener?.stateChanged(state, retryAt);
  }
}
