/** Asks the server for the messages that mention the user, a page at a time. */

/** @import {Send} from "./outbox.js" */
/** @import {MentionsFrame} from "./protocol.js" */

const PAGE = 20;

export class MentionSearch {
  #send;
  /** The callers that wait, in the order of their questions, which is that of the answers. @type {((page: MentionsFrame | null) => void)[]} */
  #waiting = [];

  /** @param {Send} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * Return the newest page, or the one before a place.
   * @param {number} [before] the `next` of the last page
   * @returns {Promise<MentionsFrame | null>} null: refused, or the connection is down
   */
  async find(before) {
    const place = before === undefined ? {} : { before };
    if (!this.#send({ command: "mentions", limit: PAGE, ...place })) return null;
    return await new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** @param {MentionsFrame} page */
  answered(page) {
    this.#waiting.shift()?.(page);
  }

  refused() {
    this.#waiting.shift()?.(null);
  }

  connectionLost() {
    for (const resolve of this.#waiting.splice(0)) resolve(null);
  }
}
