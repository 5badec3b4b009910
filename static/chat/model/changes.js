/** Edits, deletes and reactions that await their answer. Each is sent once and has one outcome, which may be unknown. */

import { uuid } from "./outbox_store.js";

/** @import {Send} from "./outbox.js" */
/** @import {Change, ErrorFrame} from "./protocol.js" */

/** `seq`: of the event that made the state; `failed` without a frame: the connection is down, and the outcome is unknown. @typedef {{done: (seq: number) => void, failed: (frame?: ErrorFrame) => void}} Outcome */

export class Changes {
  #send;
  /** @type {Map<string, Outcome>} */
  #outcomes = new Map();

  /** @param {Send} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {Change} change
   * @param {Outcome} outcome
   * @param {string} [client_id] of a change that was sent before, so that it is made once
   */
  sendChange(change, outcome, client_id = uuid()) {
    if (!this.#send({ ...change, client_id })) return outcome.failed();
    this.#outcomes.set(client_id, outcome);
  }

  /** @param {string} clientId @param {number} seq */
  settle(clientId, seq) {
    this.#removeOutcome(clientId)?.done(seq);
  }

  /**
   * @param {ErrorFrame} frame
   * @returns {boolean} whether the frame refuses a change
   */
  refuse(frame) {
    const outcome = this.#removeOutcome(frame.client_id ?? "");
    outcome?.failed(frame);
    return outcome !== undefined;
  }

  /** The connection is down. */
  connectionLost() {
    for (const clientId of [...this.#outcomes.keys()]) this.#removeOutcome(clientId)?.failed();
  }

  /** @param {string} clientId */
  #removeOutcome(clientId) {
    const outcome = this.#outcomes.get(clientId);
    this.#outcomes.delete(clientId);
    return outcome;
  }
}
