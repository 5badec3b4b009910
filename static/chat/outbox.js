/** Texts not yet acknowledged: stored before they are sent, sent by one tab, one at a time in each room. */

import { OutboxStore, uuid } from "./outbox_store.js";
import { isTransient, isUnreadable } from "./protocol.js";

/** @import {Entry, Store} from "./outbox_store.js" */
/** @import {Command, ErrorFrame} from "./protocol.js" */

/** @typedef {(command: Command) => boolean} Send */
/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** `flying` is the one unacknowledged send; `release` withdraws from the lock. @typedef {{isHolder: boolean, flying: string | null, timer?: Timer, patience?: Timer, release: () => void}} Lane */

/** The server answers within 10 s, or says later: ask again after that. */
const ANSWER_WITHIN_MS = 15_000;
const RETRY_AFTER_S = 2;
/** Between two requests for a lock that was refused. */
const ASK_AGAIN_MS = 1_000;
/** The tab that sends may have a dead line and not know it yet: its user looks at this one. */
const STEAL_AFTER_MS = 3_000;

export class Outbox {
  #store;
  #send;
  #locks;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** What was written, or tried again, in this tab. @type {Set<string>} */
  #own = new Set();
  /** Rooms joined in this session. @type {Map<string, Lane>} */
  #lanes = new Map();
  /** @type {(room: string) => void} told of every change of a room's texts */
  onchange = () => {};

  /**
   * @param {number | string} user
   * @param {{store: Store, send: Send, locks?: LockManager | undefined}} outside
   */
  constructor(user, { store, send, locks }) {
    this.#store = new OutboxStore(user, store);
    this.#send = send;
    this.#locks = locks;
    this.#load();
  }

  /** Whether closing the page would lose a text. */
  get isAtRisk() {
    return this.#store.hasUnstored;
  }

  /** How many texts the server is not known to have. */
  get unsent() {
    return [...this.#entries.values()].filter(({ state }) => state !== "sent").length;
  }

  /** Rooms that have texts. */
  get rooms() {
    return [...new Set([...this.#entries.values()].map((entry) => entry.room))];
  }

  /** @param {string | undefined} clientId */
  has(clientId) {
    return clientId !== undefined && this.#entries.has(clientId);
  }

  /**
   * A room's texts in the order in which they were written.
   * @param {string} room
   */
  of(room) {
    return [...this.#entries.values()]
      .filter((entry) => entry.room === room)
      .sort((a, b) => a.at - b.at);
  }

  /**
   * Store a text, then send it as soon as its turn comes.
   * @param {string} room
   * @param {string} text
   */
  add(room, text) {
    const last = this.of(room).at(-1)?.at ?? 0;
    // Never before the one written before it, even when the clock was set back.
    const at = Math.max(Date.now(), last + 1);
    const client_id = uuid();
    this.#own.add(client_id);
    this.#keep({ client_id, room, text, at, state: "pending" });
    this.#pump(room);
    this.#watch(room);
  }

  /**
   * The room is joined in this session: its texts may go, if no other tab sends them.
   * @param {string} room
   */
  joined(room) {
    this.parted(room);
    /** @type {Lane} */
    const lane = { isHolder: false, flying: null, release: () => {} };
    this.#lanes.set(room, lane);
    this.#hold(room, lane);
    this.#watch(room);
  }

  /**
   * The room is not joined any more, or the line is gone: what flies has an unknown fate.
   * @param {string} room
   */
  parted(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined) return;
    this.#lanes.delete(room);
    clearTimeout(lane.timer);
    clearTimeout(lane.patience);
    lane.isHolder = false;
    lane.release();
    for (const entry of this.of(room)) if (entry.state === "sent") this.settle(entry.client_id);
  }

  /** The line is gone. */
  partedAll() {
    for (const room of [...this.#lanes.keys()]) this.parted(room);
  }

  /**
   * The server has it: it leaves the store. It stays shown while its event is on the way.
   * @param {string} clientId
   * @param {boolean} isEventDue
   */
  settle(clientId, isEventDue = false) {
    const entry = this.#entries.get(clientId);
    if (entry === undefined) return;
    this.#store.forget(clientId);
    if (isEventDue) entry.state = "sent";
    else this.#entries.delete(clientId);
    this.#land(entry);
    this.onchange(entry.room);
  }

  /**
   * The server refused a send: try later, or offer the text back.
   * @param {ErrorFrame} frame
   */
  refuse(frame) {
    const clientId = frame.client_id ?? this.#flyingOf(frame);
    const entry = this.#entries.get(clientId ?? "");
    if (entry === undefined) return;
    if (isTransient(frame)) return this.#wait(entry, (frame.retry_after ?? RETRY_AFTER_S) * 1000);
    const { error: code, detail } = frame;
    this.#keep({ ...entry, state: "failed", code, ...(detail === undefined ? {} : { detail }) });
    this.#land(entry);
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
   * Try a refused text again, under the same client_id: it can never be posted twice.
   * @param {string} clientId
   */
  retry(clientId) {
    const entry = this.#entries.get(clientId);
    if (entry === undefined) return;
    const { code: _code, detail: _detail, ...rest } = entry;
    this.#own.add(clientId);
    this.#keep({ ...rest, state: "pending" });
    this.#pump(entry.room);
    this.#watch(entry.room);
  }

  /** @param {string} clientId */
  discard(clientId) {
    this.settle(clientId);
  }

  /** Forget everything, at sign-out. */
  clear() {
    for (const clientId of [...this.#entries.keys()]) this.settle(clientId);
  }

  /**
   * Another tab changed the store.
   * @param {string | null} key
   */
  heard(key) {
    if (!this.#store.owns(key)) return;
    const before = this.rooms;
    this.#load();
    for (const room of new Set([...before, ...this.rooms])) {
      const lane = this.#lanes.get(room);
      if (lane?.flying && !this.#entries.has(lane.flying)) lane.flying = null;
      this.onchange(room);
      this.#pump(room);
    }
  }

  #load() {
    const sent = [...this.#entries.values()].filter(({ state }) => state === "sent");
    const entries = [...sent, ...this.#store.read()];
    this.#entries = new Map(entries.map((entry) => [entry.client_id, entry]));
  }

  /** @param {Entry} entry */
  #keep(entry) {
    this.#entries.set(entry.client_id, entry);
    this.#store.keep(entry);
    this.onchange(entry.room);
  }

  /**
   * Hold the room's lock as long as it is joined: of several tabs one sends, so that the
   * order is kept. Without Web Locks (plain http) every tab sends; client_id keeps it once.
   * @param {string} room
   * @param {Lane} lane
   * @param {boolean} isStealing
   */
  #hold(room, lane, isStealing = false) {
    lane.release();
    const waiting = new AbortController();
    const held = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      lane.release = () => {
        waiting.abort();
        resolve();
      };
    });
    const { release } = lane;
    const isCurrent = () => this.#lanes.get(room) === lane && lane.release === release;
    const begin = () => {
      if (!isCurrent()) return;
      lane.isHolder = true;
      this.#load(); // what another tab wrote or settled while it held the lock
      this.#pump(room);
    };
    if (this.#locks === undefined) return begin();
    const options = isStealing ? { steal: true } : { signal: waiting.signal };
    this.#locks
      .request(this.#store.nameOf(room), options, () => {
        begin();
        return held;
      })
      // Aborted before its turn came, or stolen by another tab: ask again. Any other refusal may come at once, as
      // from WebKit while the document goes, and asking again in a microtask would never end.
      .catch((error) => {
        const again = () => isCurrent() && this.#robbed(room, lane);
        if (error?.name === "AbortError") again();
        else setTimeout(again, ASK_AGAIN_MS);
      });
  }

  /** Another tab sends now: it sends what flies here, too. @param {string} room @param {Lane} lane */
  #robbed(room, lane) {
    clearTimeout(lane.timer);
    lane.isHolder = false;
    lane.flying = null;
    this.#hold(room, lane);
  }

  /** Take the lock from a tab that lets a text of this one wait. @param {string} room */
  #watch(room) {
    const lane = this.#lanes.get(room);
    if (lane === undefined || lane.isHolder) return;
    clearTimeout(lane.patience);
    lane.patience = setTimeout(() => {
      const isWaiting = this.of(room).some(
        ({ client_id, state }) => state === "pending" && this.#own.has(client_id),
      );
      if (isWaiting && !lane.isHolder) this.#hold(room, lane, true);
    }, STEAL_AFTER_MS);
  }

  /** @param {string} room */
  #pump(room) {
    const lane = this.#lanes.get(room);
    if (!lane?.isHolder || lane.flying !== null) return;
    const entry = this.of(room).find(({ state }) => state === "pending");
    if (entry === undefined) return;
    const { client_id, text: message } = entry;
    lane.flying = client_id; // before sending: nothing may overtake it
    if (this.#send({ command: "send", room, message, client_id }))
      this.#wait(entry, ANSWER_WITHIN_MS);
    else lane.flying = null;
  }

  /**
   * Leave the entry flying, so that nothing overtakes it, and send it again after `ms`.
   * @param {Entry} entry
   * @param {number} ms
   */
  #wait(entry, ms) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.flying !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => this.#land(entry), ms);
  }

  /** @param {Entry} entry */
  #land(entry) {
    const lane = this.#lanes.get(entry.room);
    if (lane?.flying !== entry.client_id) return;
    clearTimeout(lane.timer);
    lane.flying = null;
    this.#pump(entry.room);
  }
}
