/** Says what is left of a room that is gone: why, and what was written there and not sent. */

import { sentenceFor } from "./words.js";

/** @import {Drafts} from "./drafts.js" */
/** @import {Notices} from "./notices.js" */
/** @import {Outbox} from "./outbox.js" */
/** @import {Room} from "./protocol.js" */

export class Leftovers {
  #notices;
  #outbox;
  #drafts;

  /**
   * @param {Notices} notices
   * @param {{outbox: Outbox, drafts: Drafts}} kept
   */
  constructor(notices, { outbox, drafts }) {
    this.#notices = notices;
    this.#outbox = outbox;
    this.#drafts = drafts;
  }

  /**
   * @param {Room} room
   * @param {string} reason a code
   * @param {string} draft what was being written
   */
  closed({ id, title }, reason, draft) {
    this.#notices.say(`“${title}” was closed. ${sentenceFor(reason)}`);
    if (draft.trim())
      this.#notices.offer(`What you were writing in “${title}”:`, {
        key: `draft ${id}`,
        text: draft,
        discard: () => this.#drafts.keep(id, ""),
      });
  }

  /** The texts stay in the outbox until they are discarded. @param {{has: (room: string) => boolean}} rooms those that are there */
  showUnsent(rooms) {
    const gone = this.#outbox.rooms.filter((room) => !rooms.has(room));
    for (const entry of gone.flatMap((room) => this.#outbox.of(room)))
      this.#notices.offer("A text of yours was not sent, and its room is gone or closed to you:", {
        key: entry.client_id,
        text: entry.text,
        discard: () => this.#outbox.discard(entry.client_id),
      });
  }
}
