/** The outbox's entries: stored ones, and those that the server saved but whose event has not arrived yet. */

import { Records } from "./records.js";

/** @import {Entry, Store} from "./outbox_store.js" */

export class Entries {
  /** @type {Records<Entry>} */
  records;
  #epochs;
  /** Entries that the server saved, shown until their event arrives. @type {Map<string, Entry>} */
  #sent = new Map();
  /** The client_ids of entries that were written or retried in this tab. @type {Set<string>} */
  ownIds = new Set();

  /**
   * @param {number | string} user
   * @param {Store} store
   * @param {Map<string, string>} epochs of the known rooms
   */
  constructor(user, store, epochs) {
    this.records = new Records(`multichat.outbox.${user}.`, store, { parse, isShared: true });
    this.#epochs = epochs;
  }

  /** Rooms that have entries. */
  get rooms() {
    const entries = this.all.filter((entry) => !this.#isOrphan(entry));
    return [...new Set(entries.map((entry) => entry.room))];
  }

  /**
   * A room's entries in the order in which they were written.
   * @param {string} room
   */
  entriesOf(room) {
    return this.all
      .filter((entry) => entry.room === room && !this.#isOrphan(entry))
      .sort((a, b) => a.at - b.at);
  }

  /**
   * Entries that can never be sent, because their room is gone, or its id has another log now.
   * @param {{has: (room: string) => boolean}} rooms existing rooms
   */
  orphans(rooms) {
    return this.all
      .filter((entry) => !rooms.has(entry.room) || this.#isOrphan(entry))
      .sort((a, b) => a.at - b.at);
  }

  get copies() {
    return this.all.filter(
      (entry) => entry.across !== undefined && entry.state !== "sent" && !this.#isOrphan(entry),
    );
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

  /** The server saved the entry. It stays shown until its event arrives. @param {Entry} entry @param {boolean} isEventDue */
  settle(entry, isEventDue) {
    this.records.remove(entry.client_id);
    this.ownIds.delete(entry.client_id);
    if (isEventDue) this.#sent.set(entry.client_id, { ...entry, state: "sent" });
    else this.#sent.delete(entry.client_id);
  }

  /** Entries that were written here before the room's epoch was known belong to its current log. @param {string} room */
  adoptEpoch(room) {
    const epoch = this.#epochs.get(room);
    if (epoch === undefined) return;
    for (const entry of this.entriesOf(room))
      if (entry.epoch === undefined && entry.state !== "sent") this.save({ ...entry, epoch });
  }

  /** Whether the entry was written for another log than the room has now. @param {Entry} entry */
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
