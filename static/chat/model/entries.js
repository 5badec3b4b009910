/** The texts of the outbox: those in the browser's storage, and those that are saved and not yet shown. */

import { Records } from "./records.js";

/** @import {Entry, Store} from "./outbox_store.js" */

export class Entries {
  /** @type {Records<Entry>} */
  records;
  #epochs;
  /** Saved by the server, and shown until its event is here. @type {Map<string, Entry>} */
  #sent = new Map();
  /** Ids of what was written, or tried again, in this tab. @type {Set<string>} */
  ownIds = new Set();

  /**
   * @param {number | string} user
   * @param {Store} store
   * @param {Map<string, string>} epochs of each room that is known
   */
  constructor(user, store, epochs) {
    this.records = new Records(`multichat.outbox.${user}.`, store, { parse, isShared: true });
    this.#epochs = epochs;
  }

  /** Rooms that have texts for them. */
  get rooms() {
    const entries = this.all.filter((entry) => !this.#isOrphan(entry));
    return [...new Set(entries.map((entry) => entry.room))];
  }

  /**
   * A room's texts in the order in which they were written.
   * @param {string} room
   */
  entriesOf(room) {
    return this.all
      .filter((entry) => entry.room === room && !this.#isOrphan(entry))
      .sort((a, b) => a.at - b.at);
  }

  /**
   * Texts that can never be sent: their room is gone, or another room has its number since.
   * @param {{has: (room: string) => boolean}} rooms those that are there
   */
  orphans(rooms) {
    return this.all
      .filter((entry) => !rooms.has(entry.room) || this.#isOrphan(entry))
      .sort((a, b) => a.at - b.at);
  }

  get all() {
    return [...this.records.all.map(([, entry]) => entry), ...this.#sent.values()];
  }

  /** @param {string} clientId */
  get(clientId) {
    return this.#sent.get(clientId) ?? this.records.get(clientId);
  }

  /** @param {Entry} entry */
  save(entry) {
    this.records.save(entry.client_id, entry);
  }

  /** The server has it: it stays shown while its event is due. @param {Entry} entry @param {boolean} isEventDue */
  settle(entry, isEventDue) {
    this.records.remove(entry.client_id);
    this.ownIds.delete(entry.client_id);
    if (isEventDue) this.#sent.set(entry.client_id, { ...entry, state: "sent" });
    else this.#sent.delete(entry.client_id);
  }

  /** What was written here before it was known which log the room has belongs to this one. @param {string} room */
  adoptEpoch(room) {
    const epoch = this.#epochs.get(room);
    if (epoch === undefined) return;
    for (const entry of this.entriesOf(room))
      if (entry.epoch === undefined && entry.state !== "sent") this.save({ ...entry, epoch });
  }

  /** Whether it was written for another log than the one that has the room's number now. @param {Entry} entry */
  #isOrphan({ room, epoch, client_id }) {
    const now = this.#epochs.get(room);
    if (epoch === undefined && this.ownIds.has(client_id)) return false;
    return now !== undefined && epoch !== now;
  }
}

/** @param {string} text @returns {Entry | null} */
function parse(text) {
  try {
    const entry = JSON.parse(text);
    return typeof entry?.client_id === "string" && typeof entry.room === "string" ? entry : null;
  } catch {
    return null;
  }
}
