/** Which alerts this user has not said "Got it" to: one entry of localStorage for each room. */

import { ALERT } from "./protocol.js";

/** @import {Store} from "./outbox_store.js" */
/** @import {Posted} from "./protocol.js" */
/** @import {Message} from "./room_log.js" */

/** @typedef {{id: string, at: string, username: string, text: string}} Pinned */
/** By number and time: numbers come again in a restored log, and alerts that are posted together have one time. @typedef {{pinned: Record<string, Pinned>, got: string[]}} Kept */

/** More than the server tells of in one room, so that none of those comes back. */
const GOT_AT_MOST = 100;

export class Alerts {
  #prefix;
  #store;
  /** What the store did not take: known as long as the page lives. @type {Map<string, Kept>} */
  #unstored = new Map();
  /** @type {(room: string) => void} */
  onchange = () => {};

  /**
   * @param {number | string} user
   * @param {Store} store
   */
  constructor(user, store) {
    this.#prefix = `multichat.alerts.${user}.`;
    this.#store = store;
  }

  /** @param {string} room */
  alertsOf(room) {
    return Object.values(this.#readRoom(room).pinned).sort(byTime);
  }

  /**
   * The room was joined: its alerts as the server has them, which knows what is recent.
   * @param {string} room
   * @param {Posted[]} alerts oldest first
   */
  mergeAlerts(room, alerts) {
    const [first] = alerts;
    if (first === undefined) return;
    const kept = this.#readRoom(room);
    const there = new Set(alerts.map(({ seq, at }) => idOf(seq, at)));
    // What is not among them, though newer than the oldest of them, was deleted while nobody looked.
    for (const { id, at } of Object.values(kept.pinned))
      if (at > first.at && !there.has(id)) delete kept.pinned[id];
    for (const { seq, at, username, message } of alerts) pin(kept, seq, at, username, message);
    this.#writeRoom(room, kept);
  }

  /**
   * See messages as they are now. A new alert is pinned, whatever the browser's clock says; pages of
   * history only change or remove what is pinned.
   * @param {string} room
   * @param {Message[]} messages
   * @param {boolean} areNew
   */
  applyMessages(room, messages, areNew) {
    const alerts = messages.filter(({ type }) => type === ALERT);
    if (!alerts.length) return;
    const kept = this.#readRoom(room);
    for (const { seq, at, username, text } of alerts)
      if (areNew || Object.hasOwn(kept.pinned, idOf(seq, at))) pin(kept, seq, at, username, text);
    this.#writeRoom(room, kept);
  }

  /**
   * @param {string} room
   * @param {string} id
   */
  gotIt(room, id) {
    const { pinned, got } = this.#readRoom(room);
    delete pinned[id];
    // The newest alerts stay known, in whichever order they were answered.
    const known = [...new Set([...got, id])].sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
    this.#writeRoom(room, { pinned, got: known.slice(-GOT_AT_MOST) });
  }

  /** Nothing of a room that is closed to its reader stays. @param {string} room */
  forgetRoom(room) {
    this.#unstored.delete(room);
    this.#store.removeItem(this.#prefix + room);
  }

  /** Another tab changed the store. @param {string | null} key */
  storageChanged(key) {
    if (!key?.startsWith(this.#prefix)) return;
    const room = key.slice(this.#prefix.length);
    this.#unstored.delete(room);
    this.onchange(room);
  }

  /** Forget everything, at sign-out. */
  clear() {
    const keys = Array.from({ length: this.#store.length }, (_, i) => this.#store.key(i) ?? "");
    for (const key of keys) if (key.startsWith(this.#prefix)) this.#store.removeItem(key);
  }

  /** Read each time: what another tab has written since must not be overwritten. @param {string} room @returns {Kept} */
  #readRoom(room) {
    return this.#unstored.get(room) ?? parse(this.#store.getItem(this.#prefix + room));
  }

  /** @param {string} room @param {Kept} kept */
  #writeRoom(room, kept) {
    this.#unstored.delete(room);
    try {
      this.#store.setItem(this.#prefix + room, JSON.stringify(kept));
    } catch {
      this.#unstored.set(room, kept); // full, or closed to us
    }
    this.onchange(room);
  }
}

/** @param {number} seq @param {string} at */
function idOf(seq, at) {
  return `${seq}@${at}`;
}

/** @param {string} id as above, or a time alone, as earlier pages kept it */
function timeOf(id) {
  return id.slice(id.indexOf("@") + 1);
}

/** @param {Pinned} one @param {Pinned} other */
function byTime(one, other) {
  return (
    one.at.localeCompare(other.at) || Number.parseInt(one.id, 10) - Number.parseInt(other.id, 10)
  );
}

/**
 * @param {Kept} kept
 * @param {number} seq
 * @param {string} at
 * @param {string} username
 * @param {string | null} text null: it was deleted
 */
function pin({ pinned, got }, seq, at, username, text) {
  const id = idOf(seq, at);
  if (text === null) delete pinned[id];
  else if (!got.includes(id) && !got.includes(at)) pinned[id] = { id, at, username, text };
}

/** @param {string | null} text @returns {Kept} */
function parse(text) {
  try {
    const kept = JSON.parse(text ?? "null");
    const pinned = Object.values(kept?.pinned ?? {}).filter((one) => typeof one?.id === "string");
    const got = Array.isArray(kept?.got) ? kept.got : [];
    return { pinned: Object.fromEntries(pinned.map((one) => [one.id, one])), got };
  } catch {
    return { pinned: {}, got: [] };
  }
}
