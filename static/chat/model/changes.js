/** Edits and deletes on their way: each is asked once and answered once, or its asker is told that it is not known. */

import { uuid } from "./outbox_store.js";

/** @import {Send} from "./outbox.js" */
/** @import {Change, ErrorFrame} from "./protocol.js" */

/** `failed` gets what there is to tell; without a frame the line is down and the fate unknown. @typedef {{done: () => void, failed: (frame?: ErrorFrame) => void}} Outcome */

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
   */
  sendChange(change, outcome) {
    const client_id = uuid();
    if (!this.#send({ ...change, client_id })) return outcome.failed();
    this.#outcomes.set(client_id, outcome);
  }

  /** @param {string} clientId */
  settle(clientId) {
    this.#removeOutcome(clientId)?.done();
  }

  /**
   * @param {ErrorFrame} frame
   * @returns {boolean} whether it was about a change
   */
  refuse(frame) {
    const outcome = this.#removeOutcome(frame.client_id ?? "");
    outcome?.failed(frame);
    return outcome !== undefined;
  }

  /** The line is gone. */
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
