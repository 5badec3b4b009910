/** Offers back messages and drafts that no pane shows: their room is gone or was replaced, or a closed tab left them. */

import { gettext } from "../model/language.js";
import { lostEditWords, lostWords, sentenceFor, spareWords } from "../model/strings.js";

/** @import {Draft, Drafts} from "../model/drafts.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {Room} from "../model/protocol.js" */

export class OrphanedMessages {
  #notices;
  #outbox;
  #drafts;
  /** @type {(draft: Draft) => void} */
  #putBack;
  /** Keys of the notices that are shown. @type {Set<string>} */
  #offered = new Set();

  /**
   * @param {Notices} notices
   * @param {{outbox: Outbox, drafts: Drafts, putBack: (draft: Draft) => void}} userData
   */
  constructor(notices, { outbox, drafts, putBack }) {
    this.#notices = notices;
    this.#outbox = outbox;
    this.#drafts = drafts;
    this.#putBack = putBack;
  }

  /**
   * @param {Room} room
   * @param {string} reason a code
   */
  roomClosed({ title }, reason) {
    const why = sentenceFor(reason);
    this.#notices.show(gettext("“{room}” was closed. {reason}", { room: title, reason: why }));
  }

  /** Each notice stays until its text is discarded or its room is back. @param {Map<string, Room>} rooms existing rooms */
  showOrphans(rooms) {
    /** @type {Set<string>} */
    const keys = new Set();
    for (const { draft, isLost } of this.#drafts.orphans(rooms)) {
      const key = `draft ${draft.id}`;
      keys.add(key);
      const room = rooms.get(draft.room);
      if (room && !isLost) this.#offerAbandoned(key, draft, room);
      else this.#offerLost(key, draft, room !== undefined);
    }
    for (const { client_id, room, text, title } of this.#outbox.orphans(rooms)) {
      keys.add(client_id);
      this.#notices.offerText(lostWords(title, rooms.has(room)), {
        key: client_id,
        text,
        discard: () => this.#outbox.discard(client_id),
      });
    }
    for (const key of this.#offered) if (!keys.has(key)) this.#notices.remove(key);
    this.#offered = keys;
  }

  /** @param {string} key @param {Draft} draft @param {Room} room into which it can be put back */
  #offerAbandoned(key, draft, { title }) {
    this.#notices.offerText(spareWords(title), {
      key,
      text: draft.text,
      discard: () => this.#drafts.removeDraft(draft),
      putBack: () => this.#putBack(draft),
    });
  }

  /** @param {string} key @param {Draft} draft @param {boolean} isReplaced */
  #offerLost(key, draft, isReplaced) {
    const { title, text, edit } = draft;
    this.#notices.offerText(edit ? lostEditWords(title) : lostWords(title, isReplaced, true), {
      key,
      text,
      discard: () => this.#drafts.removeDraft(draft),
    });
  }
}
