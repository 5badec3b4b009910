/** The alerts that this user has not confirmed with "Got it": as the server says, and until then as this browser does. */

import { keysOf } from "./outbox_store.js";
import { ALERT } from "./protocol.js";

/** @import {Store} from "./outbox_store.js" */
/** @import {HeadsFrame, Posted} from "./protocol.js" */
/** @import {Message} from "./room_log.js" */

/** @typedef {{id: string, at: string, username: string, text: string}} Pinned */
/** What is stored of a room. Ids have seq and time, because seqs repeat in a restored log, and alerts posted together have the same time. @typedef {{pinned: Record<string, Pinned>, got: string[]}} RoomAlerts */

/** How many dismissed alerts are remembered: more than the server sends for a room, so that none of those returns. */
const MAX_DISMISSED = 100;
/** The server lists the alerts of this time, and at most so many of a room. */
const LISTED_MS = 7 * 86_400_000;
const MOST_LISTED = 20;

export class Alerts {
  #prefix;
  #store;
  /** What the storage refused, known as long as the page is open. @type {Map<string, RoomAlerts>} */
  #unstored = new Map();
  /** The alerts of each room that the server waits for this user to confirm. @type {Map<string, number[]>} */
  #waiting = new Map();
  /** Ids of the alerts that this page has seen, by room and seq: a seq alone may belong to another log. @type {Map<string, Map<number, string>>} */
  #known = new Map();
  #user;
  /** The server's time when the page was loaded. The browser's clock may be wrong by days. */
  #loadedAt;
  #startedAt = Date.now();
  /** @type {(room: string) => void} */
  onchange = () => {};
  /** Called to tell the server that the user has seen an alert. It may be called again for the same alert. @type {(room: string, seq: number) => void} */
  onconfirm = () => {};

  /**
   * @param {number | string} user
   * @param {Store} store
   * @param {number} loadedAt
   */
  constructor(user, store, loadedAt) {
    this.#loadedAt = loadedAt;
    this.#user = user;
    this.#prefix = `multichat.alerts.${user}.`;
    this.#store = store;
  }

  /** @param {string} room */
  alertsOf(room) {
    return Object.values(this.#readRoom(room).pinned).sort(byTime);
  }

  /** The rooms that have an alert that the user has not confirmed. */
  get waitingRooms() {
    return [...this.#waiting.keys()].filter((room) => this.isWaiting(room));
  }

  /** Whether a room has an alert that the user has not confirmed, here or elsewhere. @param {string} room */
  isWaiting(room) {
    const { got } = this.#readRoom(room);
    const known = this.#known.get(room);
    return (this.#waiting.get(room) ?? []).some((seq) => !got.includes(known?.get(seq) ?? ""));
  }

  /** The server says which alerts wait for this user: unpin those that were confirmed elsewhere or are over. @param {HeadsFrame["heads"]} heads */
  applyHeads(heads) {
    for (const [room, { head, alerts = [] }] of Object.entries(heads)) {
      const before = this.#waiting.get(room) ?? [];
      if (alerts.length) this.#waiting.set(room, alerts);
      else this.#waiting.delete(room);
      const stored = this.#readRoom(room);
      const done = Object.values(stored.pinned).filter(
        ({ id, at }) =>
          Number.parseInt(id, 10) <= head &&
          !alerts.includes(Number.parseInt(id, 10)) &&
          this.#isListed(at, alerts),
      );
      for (const { id } of done) delete stored.pinned[id];
      if (done.length) this.#writeRoom(room, stored);
      else if (before.join() !== alerts.join()) this.onchange(room);
      this.#confirmAgain(room, stored);
    }
  }

  /** What was confirmed without a connection did not reach the server. @param {string} room @param {RoomAlerts} stored */
  #confirmAgain(room, { got }) {
    for (const seq of this.#waiting.get(room) ?? [])
      if (got.includes(this.#known.get(room)?.get(seq) ?? "")) this.onconfirm(room, seq);
  }

  /** @param {string} room @param {number} seq @param {string} at */
  #remember(room, seq, at) {
    const known = this.#known.get(room) ?? new Map();
    this.#known.set(room, known.set(seq, idOf(seq, at)));
  }

  /** Whether the server no longer waits for this user to confirm an alert. @param {string} room @param {Posted} alert */
  #isDone(room, { seq, at, user, resolution }) {
    const waiting = this.#waiting.get(room);
    const isConfirmed =
      waiting !== undefined && !waiting.includes(seq) && this.#isListed(at, waiting);
    return isConfirmed || user === this.#user || resolution !== undefined;
  }

  /**
   * The room was joined: merge its recent alerts as the server has them.
   * @param {string} room
   * @param {Posted[]} alerts oldest first
   */
  mergeAlerts(room, alerts) {
    const [first] = alerts;
    if (first === undefined) return;
    const stored = this.#readRoom(room);
    const ids = new Set(alerts.map(({ seq, at }) => idOf(seq, at)));
    // An alert that is missing, though newer than the oldest of them, was deleted while the page was closed.
    for (const { id, at } of Object.values(stored.pinned))
      if (at > first.at && !ids.has(id)) delete stored.pinned[id];
    for (const alert of alerts) {
      const { seq, at, username, message } = alert;
      this.#remember(room, seq, at);
      pin(stored, seq, at, username, this.#isDone(room, alert) ? null : message);
    }
    this.#writeRoom(room, stored);
    this.#confirmAgain(room, stored);
  }

  /**
   * Apply messages as they are now. New alerts are pinned, whatever the browser's clock says. A page of
   * history only updates or removes pinned alerts.
   * @param {string} room
   * @param {Message[]} messages
   * @param {boolean} areNew
   */
  applyMessages(room, messages, areNew) {
    const alerts = messages.filter(({ type }) => type === ALERT);
    if (!alerts.length) return;
    const stored = this.#readRoom(room);
    for (const { seq, at, user, username, text, resolution, confirmations } of alerts) {
      this.#remember(room, seq, at);
      const isDone = user === this.#user || Boolean(resolution) || confirmations?.own;
      if (areNew || Object.hasOwn(stored.pinned, idOf(seq, at)))
        pin(stored, seq, at, username, isDone ? null : text);
    }
    this.#writeRoom(room, stored);
  }

  /**
   * @param {string} room
   * @param {string} id
   */
  gotIt(room, id) {
    const { pinned, got } = this.#readRoom(room);
    delete pinned[id];
    // Remember the newest alerts, in whichever order they were dismissed.
    const dismissed = [...new Set([...got, id])].sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
    this.#writeRoom(room, { pinned, got: dismissed.slice(-MAX_DISMISSED) });
    this.onconfirm(room, Number.parseInt(id, 10));
  }

  /** Remove the alerts of a room that the user may no longer enter. @param {string} room */
  forgetRoom(room) {
    this.#unstored.delete(room);
    this.#waiting.delete(room);
    this.#known.delete(room);
    this.#store.removeItem(this.#prefix + room);
    this.onchange(room);
  }

  /** Another tab changed the storage. @param {string | null} key */
  storageChanged(key) {
    if (!key?.startsWith(this.#prefix)) return;
    const room = key.slice(this.#prefix.length);
    this.#unstored.delete(room);
    this.onchange(room);
  }

  /** Remove everything, at sign-out. */
  clear() {
    for (const key of keysOf(this.#store, this.#prefix)) this.#store.removeItem(key);
  }

  /** Whether the server would list an alert, if it waited. @param {string} at @param {number[]} listed */
  #isListed(at, { length }) {
    // In some browsers the first clock stops while the computer sleeps, and the second one may be set.
    const elapsed = Math.max(performance.now(), Date.now() - this.#startedAt);
    return length < MOST_LISTED && this.#loadedAt + elapsed - Date.parse(at) < LISTED_MS;
  }

  /** Read the storage each time, so that what another tab wrote since is not overwritten. @param {string} room @returns {RoomAlerts} */
  #readRoom(room) {
    return this.#unstored.get(room) ?? parse(this.#store.getItem(this.#prefix + room));
  }

  /** @param {string} room @param {RoomAlerts} alerts */
  #writeRoom(room, alerts) {
    this.#unstored.delete(room);
    try {
      this.#store.setItem(this.#prefix + room, JSON.stringify(alerts));
    } catch {
      this.#unstored.set(room, alerts); // full or not allowed
    }
    this.onchange(room);
  }
}

/** @param {number} seq @param {string} at */
function idOf(seq, at) {
  return `${seq}@${at}`;
}

/** @param {string} id as above, or a time alone, as earlier versions stored it */
function timeOf(id) {
  return id.slice(id.indexOf("@") + 1);
}

/** @param {Pinned} a @param {Pinned} b */
function byTime(a, b) {
  return a.at.localeCompare(b.at) || Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10);
}

/**
 * @param {RoomAlerts} alerts
 * @param {number} seq
 * @param {string} at
 * @param {string} username
 * @param {string | null} text null: the message was deleted
 */
function pin({ pinned, got }, seq, at, username, text) {
  const id = idOf(seq, at);
  if (text === null) delete pinned[id];
  else if (!got.includes(id) && !got.includes(at)) pinned[id] = { id, at, username, text };
}

/** @param {string | null} text @returns {RoomAlerts} */
function parse(text) {
  try {
    const stored = JSON.parse(text ?? "null");
    const alerts = Object.values(stored?.pinned ?? {}).filter((a) => typeof a?.id === "string");
    const got = Array.isArray(stored?.got) ? stored.got : [];
    return { pinned: Object.fromEntries(alerts.map((alert) => [alert.id, alert])), got };
  } catch {
    return { pinned: {}, got: [] };
  }
}
