/** Sends many changes in pieces, so that the server's limits leave room for what the user writes meanwhile. */

import { isTransient } from "./protocol.js";

/** @import {Outcome} from "./changes.js" */
/** @import {Change, ErrorFrame} from "./protocol.js" */

/** `clientId`: it stays when the change is sent again, so that it is made once. @typedef {{change: Change, clientId: string}} Wanted */
/** `frame`: undefined if the connection was lost, and the outcome is unknown. @typedef {Wanted & {frame: ErrorFrame | undefined}} Failure */
/** Changes that are reported together. @typedef {{left: number, failures: Failure[], ended: (failures: Failure[]) => void}} Batch */
/** @typedef {Wanted & {batch: Batch}} Item */

export const PIECE = 12;
export const NEXT_PIECE_AFTER_MS = 2_000;
/** The server closes a socket that goes on to have more commands refused than one in a second. */
const AFTER_REFUSAL_MS = 1_000;
const RETRY_AFTER_S = 2;

export class PacedChanges {
  #send;
  /** @type {Item[]} */
  #waiting = [];
  /** How many changes of the piece that was sent have no answer. The next piece waits for them. */
  #unanswered = 0;
  #nextAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(change: Change, outcome: Outcome, clientId: string) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Wanted[]} changes @param {(failures: Failure[]) => void} ended all of them are made, or refused for good */
  add(changes, ended) {
    const batch = { left: changes.length, failures: [], ended };
    // Of two changes of a message only the later one counts.
    const overtaken = this.#waiting.filter((item) => changes.some((each) => isSame(each, item)));
    this.#waiting = this.#waiting.filter((item) => !overtaken.includes(item));
    for (const item of overtaken) this.#end(item);
    this.#waiting.push(...changes.map((each) => ({ ...each, batch })));
    this.#sendPiece();
  }

  #sendPiece() {
    if (this.#unanswered || !this.#waiting.length) return;
    clearTimeout(this.#timer);
    const wait = this.#nextAt - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#sendPiece(), wait);
      return;
    }
    this.#nextAt = Date.now() + NEXT_PIECE_AFTER_MS;
    const piece = this.#waiting.splice(0, PIECE);
    // Before the first is sent, because a change fails at once if the connection is down.
    this.#unanswered = piece.length;
    for (const item of piece) {
      const answered = (/** @type {() => void} */ act) => {
        this.#unanswered -= 1;
        act();
        this.#sendPiece();
      };
      this.#send(
        item.change,
        {
          done: () => answered(() => this.#end(item)),
          failed: (frame) => answered(() => this.#failed(item, frame)),
        },
        item.clientId,
      );
    }
  }

  /** @param {Item} item @param {ErrorFrame} [frame] */
  #failed(item, frame) {
    if (frame === undefined) {
      for (const each of [item, ...this.#waiting.splice(0)]) this.#end(each, { frame });
      return;
    }
    const now = Date.now();
    this.#nextAt = Math.max(this.#nextAt, now) + AFTER_REFUSAL_MS;
    if (!isTransient(frame)) return this.#end(item, { frame });
    const { retry_after = RETRY_AFTER_S } = frame;
    this.#nextAt = Math.max(this.#nextAt, now + retry_after * 1000);
    if (this.#waiting.some((each) => isSame(each, item))) this.#end(item);
    else this.#waiting.unshift(item);
  }

  /** @param {Item} item @param {{frame: ErrorFrame | undefined}} [failure] */
  #end({ change, clientId, batch }, failure) {
    if (failure) batch.failures.push({ change, clientId, ...failure });
    batch.left -= 1;
    if (batch.left === 0) batch.ended(batch.failures);
  }
}

/** Whether two changes are of the same message. @param {Wanted} a @param {Wanted} b */
function isSame({ change: a }, { change: b }) {
  return a.room === b.room && a.seq === b.seq;
}
