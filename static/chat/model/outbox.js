/** Texts not yet acknowledged: stored before they are sent, sent by one tab, one at a time in each room. */

import { Entries } from "./entries.js";
import { uuid } from "./outbox_store.js";
import { isTransient, isUnreadable } from "./protocol.js";
import { RoomLock } from "./room_lock.js";

/** @import {Entry, Store} from "./outbox_store.js" */
/** @import {Command, ErrorFrame} from "./protocol.js" */
/** @import {Change} from "./records.js" */

/** @typedef {(command: Command) => boolean} Send */
/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** `flying` is the one unacknowledged send. @typedef {{lock: RoomLock, flying: string | null, timer?: Timer, patience?: Timer}} Lane */

/** The server answers within 10 s, or says later: ask again after that. */
const ANSWER_WITHIN_MS = 15_000;
const RETRY_AFTER_S = 2;
/** The tab that sends may have a dead line and not know it yet: its user looks at this one. */
const STEAL_AFTER_MS = 3_000;
/** What waited longer is news no more: its author is asked. */
const FRESH_MS = 86_400_000;

export class Outbox {
  #entries;
  #send;
  #locks;
  #epochs;
  /** Discarded while the server had it already: it may be posted all the same. @type {Set<string>} */
  #discarded = new Set();
  /** Rooms joined in this session. @type {Map<string, Lane>} */
  #lanes = new Map();
  /** @type {(room: string) => void} told of every change of a room's texts */
  onchange = () => {};

  /**
   * @param {number | string} user
   * @param {{store: Store, send: Send, locks?: LockManager | undefined, epochs?: Map<string, string>}} outside `epochs`: of each room that is known
   */
  constructor(user, { store, send, locks, epochs = new Map() }) {
    this.#entries = new Entries(user, store, epochs);
    this.#send = send;
    this.#locks = locks;
    this.#epochs = epochs;
  }

  /** Whether closing the page would lose a text. */
  get isAtRisk() {
    return this.#entries.records.hasUnstored;
  }

  /** How many texts the server is not known to have. */
  get unsentCount() {
    return this.#entries.records.all.length;
  }

  /** Rooms that have texts for them. */
  get rooms() {
    return this.#entries.rooms;
  }

  /** @param {string | undefined} clientId */
  has(clientId) {
    if (clientId === undefined) return false;
    return this.#entries.get(clientId) !== undefined || this.#discarded.has(clientId);
  }

  /** A room's texts in the order in which they were written. @param {string} room */
  entriesOf(room) {
    return this.#entries.entriesOf(room);
  }

  /** Texts that can never be sent. @param {{has: (room: string) => boolean}} rooms those that are there */
  orphans(rooms) {
    return this.#entries.orphans(rooms);
  }

  /**
   * Store a text, then send it as soon as its turn comes.
   * @param {string} room
   * @param {string} text
   * @param {{client_id?: string | undefined, title?: string}} more `client_id`: the draft's; it is sent once, even if another tab sends the same draft
   */
  add(room, text, { client_id = uuid(), title } = {}) {
    const last = this.entriesOf(room).at(-1)?.at ?? 0;
    // Never before the one written before it, even when the clock was set back.
    const at = Math.max(Date.now(), last + 1);
    const epoch = this.#epochs.get(room);
    this.#entries.ownIds.add(client_id);
    this.#save({
      ...{ client_id, room, text, at, state: "pending" },
      ...(epoch === undefined ? {} : { epoch }),
      ...(title === undefined ? {} : { title }),
    });
    this.#sendNext(room);
    this.#stealLockLater(room);
  }

  /**
   * The room is joined in this session: its texts may go, if no other tab sends them.
   * @param {string} room
   */
  roomJoined(room) {
    this.roomLeft(room);
    this.#entries.adoptEpoch(room);
    const lock = new RoomLock(this.#locks, this.#entries.records.keyOf(room), {
      gained: () => {
        this.#entries.records.loadAll(); // what another tab wrote while it held the lock
        this.#sendNext(room);
      },
      lost: () => {
        // Another tab sends now: it sends what flies here, too.
        clearTimeout(lane.timer);
        lane.flying = null;
      },
    });
    /** @type {Lane} */
    const lane = { lock, flying: null };
    this.#lanes.set(room, lane);
    lock.acquire();
    this.#stealLockLater(room);
    // Another log may have the room's number now.
    this.onchange(room);
  }

  /**
   * The room is not joined any more, or the line is gone: what flies has an unknown fate.
   * @param {string} room
   */
  roomLeft(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined) return;
    this.#lanes.delete(room);
    clearTimeout(lane.timer);
    clearTimeout(lane.patience);
    lane.lock.release();
    for (const entry of this.entriesOf(room))
      if (entry.state === "sent") this.settle(entry.client_id);
  }

  /** The line is gone. */
  connectionLost() {
    for (const room of [...this.#lanes.keys()]) this.roomLeft(room);
  }

  /**
   * The server has it: it leaves the store. It stays shown while its event is on the way.
   * @param {string} clientId
   * @param {boolean} isEventDue
   */
  settle(clientId, isEventDue = false) {
    if (!isEventDue) this.#discarded.delete(clientId);
    const entry = this.#entries.get(clientId);
    if (entry === undefined) return;
    this.#entries.settle(entry, isEventDue);
    this.#endFlight(entry);
    this.onchange(entry.room);
  }

  /**
   * The server refused a send: try later, or offer the text back.
   * @param {ErrorFrame} frame
   */
  refuse(frame) {
    const clientId = frame.client_id ?? this.#flyingOf(frame);
    this.#discarded.delete(clientId ?? "");
    const entry = this.#entries.records.get(clientId ?? "");
    if (entry === undefined) return;
    if (isTransient(frame))
      return this.#resendAfter(entry, (frame.retry_after ?? RETRY_AFTER_S) * 1000);
    const { error: code, detail } = frame;
    this.#save({ ...entry, state: "failed", code, ...(detail === undefined ? {} : { detail }) });
    this.#endFlight(entry);
  }

  /**
   * The text that an error without a client_id is about. One that names no room may be about
   * any that flies: if there are several, the good ones are answered and it is alone next time.
   * @param {ErrorFrame} frame
   */
  #flyingOf(frame) {
    if (!isUnreadable(frame)) return this.#lanes.get(frame.room ?? "")?.flying;
    const flying = [...this.#lanes.values()].map((lane) => lane.flying).filter((id) => id !== null);
    return flying.length === 1 ? flying[0] : null;
  }

  /**
   * Send a text that was refused, or that is old, under the same client_id: it can never be posted twice.
   * @param {string} clientId
   */
  retry(clientId) {
    const entry = this.#entries.records.get(clientId);
    if (entry === undefined) return;
    const { code: _code, detail: _detail, ...rest } = entry;
    this.#entries.ownIds.add(clientId);
    this.#save({ ...rest, state: "pending", since: Date.now() });
    this.#sendNext(entry.room);
    this.#stealLockLater(entry.room);
  }

  /** @param {string} clientId */
  discard(clientId) {
    const isFlying = [...this.#lanes.values()].some(({ flying }) => flying === clientId);
    this.settle(clientId);
    if (isFlying) this.#discarded.add(clientId);
  }

  /** Forget everything, at sign-out. */
  clear() {
    this.#entries.records.loadAll();
    for (const { client_id } of this.#entries.all) this.settle(client_id);
  }

  /** Signed out in another tab: store nothing any more. */
  close() {
    this.#entries.records.close();
  }

  /** Signed in again. */
  open() {
    this.#entries.records.open();
  }

  /** Store again what the storage lost. @param {boolean} [isLast] */
  repairStorage(isLast) {
    this.#entries.records.repairStorage(isLast);
  }

  /**
   * Another tab changed the store.
   * @param {string | null} key
   * @param {Change} [change]
   */
  storageChanged(key, change) {
    const before = this.rooms;
    if (!this.#entries.records.storageChanged(key, change)) return;
    for (const room of new Set([...before, ...this.rooms])) {
      const lane = this.#lanes.get(room);
      if (lane?.flying && !this.#entries.get(lane.flying)) lane.flying = null;
      this.onchange(room);
      this.#sendNext(room);
    }
  }

  /** @param {Entry} entry */
  #save(entry) {
    this.#entries.save(entry);
    this.onchange(entry.room);
  }

  /** Take the lock from a tab that lets a text of this one wait. @param {string} room */
  #stealLockLater(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined || lane.lock.isHeld) return;
    clearTimeout(lane.patience);
    lane.patience = setTimeout(() => {
      const isWaiting = this.entriesOf(room).some(
        ({ client_id, state }) => state === "pending" && this.#entries.ownIds.has(client_id),
      );
      if (isWaiting && !lane.lock.isHeld) lane.lock.acquire(true);
    }, STEAL_AFTER_MS);
  }

  /** @param {string} room @returns {void} */
  #sendNext(room) {
    const lane = this.#lanes.get(room);
    if (!lane?.lock.isHeld || lane.flying !== null) return;
    const entry = this.entriesOf(room).find(({ state }) => state === "pending");
    if (entry === undefined) return;
    if (Date.now() - (entry.since ?? entry.at) > FRESH_MS) {
      this.#save({ ...entry, state: "held" });
      return this.#sendNext(room);
    }
    const { client_id, text: message } = entry;
    lane.flying = client_id; // before sending: nothing may overtake it
    if (this.#send({ command: "send", room, message, client_id }))
      this.#resendAfter(entry, ANSWER_WITHIN_MS);
    else lane.flying = null;
  }

  /**
   * Leave the entry flying, so that nothing overtakes it, and send it again after `ms`.
   * @param {Entry} entry
   * @param {number} ms
   */
  #resendAfter(entry, ms) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.flying !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => this.#endFlight(entry), ms);
  }

  /** @param {Entry} entry */
  #endFlight(entry) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.flying !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.flying = null;
    this.#sendNext(entry.room);
  }
}
