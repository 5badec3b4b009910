/** The copies of a message in several rooms: sends those for rooms that are not open, says which are missing, and changes all of them. */

import { COPIES_UNKNOWN, copiesUnchangedWords, copyUnsentWords } from "../model/carry_strings.js";
import { gettext } from "../model/language.js";
import { uuid } from "../model/outbox_store.js";
import { NEXT_PIECE_AFTER_MS, PacedChanges, PIECE } from "../model/paced_changes.js";
import { HELD, sentenceFor, unchangedSentence } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */
/** @import {Outcome} from "../model/changes.js" */
/** @import {Outbox, Send} from "../model/outbox.js" */
/** @import {Entry} from "../model/outbox_store.js" */
/** @import {Failure, Wanted} from "../model/paced_changes.js" */
/** @import {Change, CopiesFrame, Room} from "../model/protocol.js" */

/** @typedef {{rooms: () => Map<string, Room>, isOpen: (room: string) => boolean, isOnline: () => boolean, me: number, ask: Send, change: (change: Change, outcome: Outcome, clientId: string) => void, outbox: Outbox, notices: Notices}} CopiesPage */
/** What happens to all copies: a new text, that they are taken back (`undo`), or deleted. @typedef {{message: string} | {undo: boolean}} CopiesChange */

const ANSWER_WITHIN_MS = 15_000;
/** A copy that was on its way when all were changed has arrived by then. */
const LATE_MS = 3_000;

export class Copies {
  #page;
  /** The rooms of the piece that is being sent. @type {Set<string>} */
  #lanes = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #startedAt = 0;
  /** @type {Map<string, (frame: CopiesFrame | null) => void>} */
  #asked = new Map();
  /** Entries that the notices name. @type {Set<string>} */
  #missing = new Set();
  #changes;

  /** @param {CopiesPage} page */
  constructor(page) {
    this.#page = page;
    this.#changes = new PacedChanges(page.change);
  }

  /** The outbox, the open rooms or the connection changed. */
  update() {
    this.#showMissing();
    const { outbox, isOnline, isOpen } = this.#page;
    const waiting = isOnline()
      ? outbox.copies.filter(({ room, state }) => state === "pending" && !isOpen(room))
      : [];
    const rooms = new Set(waiting.map(({ room }) => room));
    for (const room of this.#lanes) {
      if (rooms.has(room)) continue;
      this.#lanes.delete(room);
      if (!isOpen(room)) outbox.roomLeft(room);
    }
    if (this.#lanes.size || !rooms.size) return;
    const wait = this.#startedAt + NEXT_PIECE_AFTER_MS - Date.now();
    clearTimeout(this.#timer);
    if (wait > 0) {
      this.#timer = setTimeout(() => this.update(), wait);
      return;
    }
    this.#startedAt = Date.now();
    this.#lanes = new Set([...rooms].slice(0, PIECE));
    // The server checks the right when it writes, so the rooms need not be joined.
    for (const room of [...this.#lanes]) outbox.roomJoined(room);
  }

  /** The lanes ended with the connection. */
  connectionLost() {
    this.#lanes.clear();
    this.#startedAt = 0;
    for (const answer of this.#asked.values()) answer(null);
  }

  /** Say which copies were not sent, unless their room's pane says it. */
  #showMissing() {
    const { outbox, notices, isOpen } = this.#page;
    const missing = outbox.copies.filter(
      ({ room, state }) => (state === "failed" || state === "held") && !isOpen(room),
    );
    for (const entry of missing) this.#showNotice(entry);
    const keys = new Set(missing.map(({ client_id }) => client_id));
    for (const key of this.#missing) if (!keys.has(key)) notices.remove(key);
    this.#missing = keys;
  }

  /** @param {Entry} entry */
  #showNotice({ client_id, room, title = "", text, state, code = "", detail }) {
    const { outbox, notices, rooms } = this.#page;
    const reason = state === "held" ? HELD : sentenceFor(code, detail);
    notices.show(copyUnsentWords(rooms().get(room)?.title ?? title, reason), {
      ...{ key: client_id, text, dismiss: null },
      choices: [
        { label: gettext("Retry"), act: () => outbox.retry(client_id) },
        { label: gettext("Discard"), act: () => outbox.discard(client_id) },
      ],
    });
  }

  /**
   * Change the user's own copies of a message in the other rooms.
   * @param {string} across
   * @param {string} room whose copy the user has changed
   * @param {CopiesChange} change
   */
  async changeAll(across, room, change) {
    const isLate = this.#changeUnsent(across, change);
    /** @type {Set<string>} */
    const done = new Set([room]);
    await this.#changeSent(across, change, done);
    if (isLate) setTimeout(() => this.#changeSent(across, change, done), LATE_MS);
  }

  /** @param {string} across @param {CopiesChange} change @returns {boolean} whether there were any */
  #changeUnsent(across, change) {
    const { outbox } = this.#page;
    const unsent = outbox.copies.filter((entry) => entry.across === across);
    for (const { client_id, room, title = "", type = 0, source, files = [] } of unsent) {
      outbox.discard(client_id);
      if ("message" in change)
        outbox.add(room, change.message, { client_id, title, type, across, source, files });
    }
    return unsent.length > 0;
  }

  /** @param {string} across @param {CopiesChange} change @param {Set<string>} done rooms whose copy is changed */
  async #changeSent(across, change, done) {
    const found = await this.#find(across);
    if (!found) return this.#page.notices.show(COPIES_UNKNOWN);
    /** @type {Wanted[]} */
    const wanted = [];
    for (const { room, seq, user } of found.messages) {
      if (user !== this.#page.me || done.has(room)) continue;
      done.add(room);
      const command =
        "message" in change
          ? /** @type {const} */ ({ command: "edit", room, seq, across, message: change.message })
          : /** @type {const} */ ({
              command: "delete",
              room,
              seq,
              across,
              ...(change.undo && { undo: /** @type {const} */ (true) }),
            });
      wanted.push({ change: command, clientId: uuid() });
    }
    this.#sendChanges(wanted);
  }

  /** @param {Wanted[]} changes */
  #sendChanges(changes) {
    this.#changes.add(changes, (failures) => this.#showUnchanged(failures));
  }

  /** One notice for each reason. @param {Failure[]} failures */
  #showUnchanged(failures) {
    const { notices, rooms } = this.#page;
    for (const reason of new Set(failures.map(({ frame }) => unchangedSentence(frame)))) {
      const same = failures.filter(({ frame }) => unchangedSentence(frame) === reason);
      const titles = same.map(({ change }) => rooms().get(change.room)?.title ?? "");
      // The copy that its author changed may be gone, so only here can they try again.
      const retry = { label: gettext("Retry"), act: () => this.#sendChanges(same) };
      notices.show(copiesUnchangedWords(titles, reason), {
        key: uuid(),
        choices: same[0]?.frame ? [] : [retry],
      });
    }
  }

  /** @param {string} across @returns {Promise<CopiesFrame | null>} null: the server did not answer */
  #find(across) {
    this.#asked.get(across)?.(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#asked.get(across)?.(null), ANSWER_WITHIN_MS);
      this.#asked.set(across, (frame) => {
        clearTimeout(timer);
        this.#asked.delete(across);
        resolve(frame);
      });
      if (!this.#page.ask({ command: "copies", across })) this.#asked.get(across)?.(null);
    });
  }

  /** @param {CopiesFrame} frame */
  copiesReceived(frame) {
    this.#asked.get(frame.copies)?.(frame);
  }

  /** The server refused the question. */
  refused() {
    for (const answer of [...this.#asked.values()]) answer(null);
  }
}
