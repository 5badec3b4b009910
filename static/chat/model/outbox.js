/** Messages not yet acknowledged: stored before they are sent, and sent by one tab, one at a time in each room. */

import { Entries } from "./entries.js";
import { uuid } from "./outbox_store.js";
import { isTransient, isUnreadable, MESSAGE } from "./protocol.js";
import { RoomLock } from "./room_lock.js";

/** @import {FileFacts} from "./files.js" */
/** @import {Entry, Store} from "./outbox_store.js" */
/** @import {Command, ErrorFrame, Source} from "./protocol.js" */
/** @import {Change} from "./records.js" */

/** @typedef {(command: Command) => boolean} Send */
/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** `inFlight`: the client_id of the unacknowledged send. @typedef {{lock: RoomLock, inFlight: string | null, timer?: Timer, stealTimer?: Timer}} Lane */

/** The server answers within 10 s, perhaps that it is busy. Without any answer, the page sends again after this time. */
const ANSWER_WITHIN_MS = 15_000;
const RETRY_AFTER_S = 2;
/** The sending tab may not have noticed that its connection is dead, while its user looks at this tab. */
const STEAL_AFTER_MS = 3_000;
/** An entry that waited longer is sent only after its author confirms it. */
const FRESH_MS = 86_400_000;

export class Outbox {
  #entries;
  #send;
  #locks;
  #epochs;
  /** Ids of entries that were discarded after they had been sent, and so may be posted all the same. @type {Set<string>} */
  #discarded = new Set();
  /** Rooms joined in this session. @type {Map<string, Lane>} */
  #lanes = new Map();
  /** Called when a room's entries changed. @type {(room: string) => void} */
  onchange = () => {};

  /**
   * @param {number | string} user
   * @param {{store: Store, send: Send, locks?: LockManager | undefined, epochs?: Map<string, string>}} options `epochs`: of the known rooms
   */
  constructor(user, { store, send, locks, epochs = new Map() }) {
    this.#entries = new Entries(user, store, epochs);
    this.#send = send;
    this.#locks = locks;
    this.#epochs = epochs;
  }

  /** Whether closing the page would lose a message. */
  get isAtRisk() {
    return this.#entries.records.hasUnstored;
  }

  /** How many messages are not known to be saved by the server. */
  get unsentCount() {
    return this.#entries.records.all.length;
  }

  /** Rooms that have entries. */
  get rooms() {
    return this.#entries.rooms;
  }

  /** Copies of messages in several rooms that are not known to be saved. */
  get copies() {
    return this.#entries.copies;
  }

  /** @param {string | undefined} clientId */
  has(clientId) {
    if (clientId === undefined) return false;
    return this.#entries.get(clientId) !== undefined || this.#discarded.has(clientId);
  }

  /** A room's entries in the order in which they were written. @param {string} room */
  entriesOf(room) {
    return this.#entries.entriesOf(room);
  }

  /** Entries that can never be sent. @param {{has: (room: string) => boolean}} rooms existing rooms */
  orphans(rooms) {
    return this.#entries.orphans(rooms);
  }

  /** Whether messages are sent only when the room is opened. Copies need no pane. @param {string} room */
  isWaiting(room) {
    return this.entriesOf(room).some(({ across, state }) => !across && state !== "sent");
  }

  /**
   * Store a message, then send it when its turn comes.
   * @param {string} room
   * @param {string} text
   * @param {{client_id?: string | undefined, title?: string, type?: number, across?: string | undefined, source?: Source | undefined, replyTo?: number | undefined, files?: FileFacts[]}} options `client_id`: the draft's, so that it is posted once even if another tab sends the same draft
   */
  add(
    room,
    text,
    { client_id = uuid(), title, type = MESSAGE, across, source, replyTo, files = [] } = {},
  ) {
    const last = this.entriesOf(room).at(-1)?.at ?? 0;
    // Later than the entry before it, even if the clock was set back.
    const at = Math.max(Date.now(), last + 1);
    const epoch = this.#epochs.get(room);
    this.#entries.ownIds.add(client_id);
    this.#save({
      ...{ client_id, room, text, at, state: "pending" },
      ...(epoch === undefined ? {} : { epoch }),
      ...(title === undefined ? {} : { title }),
      ...(type === MESSAGE ? {} : { type }),
      ...(across && { across }),
      ...(source && { source }),
      ...(replyTo && { replyTo }),
      ...(files.length ? { files } : {}),
    });
    this.#sendNext(room);
    this.#stealLockLater(room);
  }

  /**
   * The room was joined in this session, so its entries are sent, unless another tab sends them.
   * @param {string} room
   */
  roomJoined(room) {
    this.roomLeft(room);
    this.#entries.adoptEpoch(room);
    const lock = new RoomLock(this.#locks, this.#entries.records.keyOf(room), {
      gained: () => {
        this.#entries.records.loadAll(); // entries that another tab stored while it held the lock
        this.#sendNext(room);
      },
      lost: () => {
        // Another tab sends now, including the entry that is in flight here.
        clearTimeout(lane.timer);
        lane.inFlight = null;
      },
    });
    /** @type {Lane} */
    const lane = { lock, inFlight: null };
    this.#lanes.set(room, lane);
    lock.acquire();
    this.#stealLockLater(room);
    // The room's id may have another log now.
    this.onchange(room);
  }

  /**
   * The room was left or the connection is down, so the outcome of the entry in flight is unknown.
   * @param {string} room
   */
  roomLeft(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined) return;
    this.#lanes.delete(room);
    clearTimeout(lane.timer);
    clearTimeout(lane.stealTimer);
    lane.lock.release();
    for (const entry of this.entriesOf(room))
      if (entry.state === "sent") this.settle(entry.client_id);
  }

  /** The connection is down. */
  connectionLost() {
    for (const room of [...this.#lanes.keys()]) this.roomLeft(room);
  }

  /**
   * The server saved the message: remove it from the storage, and show it until its event arrives.
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
   * The server refused a send: retry later, or offer the message back.
   * @param {ErrorFrame} frame
   */
  refuse(frame) {
    const clientId = frame.client_id ?? this.#inFlightOf(frame);
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
   * Find the entry that an error without a client_id is about. If the error names no room either, it may be any
   * entry in flight: if there are several, the valid ones are answered, and the invalid one is sent alone next time.
   * @param {ErrorFrame} frame
   */
  #inFlightOf(frame) {
    if (!isUnreadable(frame)) return this.#lanes.get(frame.room ?? "")?.inFlight;
    const inFlight = [...this.#lanes.values()]
      .map((lane) => lane.inFlight)
      .filter((id) => id !== null);
    return inFlight.length === 1 ? inFlight[0] : null;
  }

  /**
   * Send a refused or old entry under the same client_id, so that it can never be posted twice.
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
    const isInFlight = [...this.#lanes.values()].some(({ inFlight }) => inFlight === clientId);
    this.settle(clientId);
    if (isInFlight) this.#discarded.add(clientId);
  }

  /** Remove everything, at sign-out. */
  clear() {
    this.#entries.records.loadAll();
    for (const { client_id } of this.#entries.all) this.settle(client_id);
  }

  /** The user signed out in another tab: store nothing from now on. */
  close() {
    this.#entries.records.close();
  }

  /** The user is signed in again. */
  open() {
    this.#entries.records.open();
  }

  /** Store again what the storage lost. @param {boolean} [isLast] the page is being closed */
  repairStorage(isLast) {
    this.#entries.records.repairStorage(isLast);
  }

  /**
   * Another tab changed the storage.
   * @param {string | null} key
   * @param {Change} [change]
   */
  storageChanged(key, change) {
    const before = this.rooms;
    if (!this.#entries.records.storageChanged(key, change)) return;
    for (const room of new Set([...before, ...this.rooms])) {
      const lane = this.#lanes.get(room);
      if (lane?.inFlight && !this.#entries.get(lane.inFlight)) lane.inFlight = null;
      this.onchange(room);
      this.#sendNext(room);
    }
  }

  /** @param {Entry} entry */
  #save(entry) {
    this.#entries.save(entry);
    this.onchange(entry.room);
  }

  /** Take the lock from another tab if an entry of this tab still waits after a while. @param {string} room */
  #stealLockLater(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined || lane.lock.isHeld) return;
    clearTimeout(lane.stealTimer);
    lane.stealTimer = setTimeout(() => {
      const isWaiting = this.entriesOf(room).some(
        ({ client_id, state }) => state === "pending" && this.#entries.ownIds.has(client_id),
      );
      if (isWaiting && !lane.lock.isHeld) lane.lock.acquire(true);
    }, STEAL_AFTER_MS);
  }

  /** @param {string} room @returns {void} */
  #sendNext(room) {
    const lane = this.#lanes.get(room);
    if (!lane?.lock.isHeld || lane.inFlight !== null) return;
    const entry = this.entriesOf(room).find(({ state }) => state === "pending");
    if (entry === undefined) return;
    if (Date.now() - (entry.since ?? entry.at) > FRESH_MS) {
      this.#save({ ...entry, state: "held" });
      return this.#sendNext(room);
    }
    const { client_id, text: message, epoch, type, across, source, replyTo, files } = entry;
    lane.inFlight = client_id; // before sending, so that nothing overtakes it
    const log = epoch === undefined ? {} : { epoch }; // the server refuses it if the room has another log by then
    const kind = {
      ...(type && { msg_type: type }),
      ...(across && { across }),
      ...(source && { source }),
      ...(replyTo && { reply_to: replyTo }),
      ...(files && { files: files.map(({ id }) => id) }),
    };
    if (this.#send({ command: "send", room, message, client_id, ...kind, ...log }))
      this.#resendAfter(entry, ANSWER_WITHIN_MS);
    else lane.inFlight = null;
  }

  /**
   * Send the entry in flight again after `ms`. It stays in flight, so that nothing overtakes it.
   * @param {Entry} entry
   * @param {number} ms
   */
  #resendAfter(entry, ms) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.inFlight !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => this.#endFlight(entry), ms);
  }

  /** @param {Entry} entry */
  #endFlight(entry) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.inFlight !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.inFlight = null;
    this.#sendNext(entry.room);
  }
}
