/** Notifications of this browser: the button at the foot, what it offers, and when one is shown. Loaded when they are turned on. */

import { part } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";
import { clockOf, pauses, tidy } from "../model/notifying.js";
import { NOT_LOADED, NOTIFYING_BLOCKED, NOTIFYING_MISSING, notifyWords } from "../model/strings.js";

/** @import {Item} from "../dom/menu.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {State} from "../model/connection.js" */
/** @import {Send} from "../model/outbox.js" */
/** @import {Preferences} from "../model/preferences.js" */
/** @import {HeadsFrame, NotifyFrame, Room} from "../model/protocol.js" */
/** @import {Unread} from "../model/unread.js" */

/** What notifications need of the page. `isInView`: the newest message of the room can be seen, whether or not the window has the focus. @typedef {{send: Send, menus: {open: (anchor: HTMLElement, name: string, items: () => Item[]) => void}, notices: Notices, preferences: Preferences, unread: Unread, roomOf: (room: string) => Room | undefined, isInView: (room: string) => boolean, show: (room: string, seq: number, found?: Room) => void}} NotificationActions */

/** Long enough that the position of a user who reads the message elsewhere is known here. */
const DELAY_MS = 1000;
const DAY_MS = 24 * 3600 * 1000;
const AWAY = gettext("The server isn't responding. Try again in a moment.");
const ROOM_GONE = gettext("The room is no longer available to you.");

export class Notifications {
  #button;
  #actions;
  /** The heads of rooms since the page is connected. What came before is no news. @type {Map<string, number>} */
  #heads = new Map();
  /** The rooms that wait to be asked about: from which number to which. @type {Map<string, {after: number, seq: number, timer: ReturnType<typeof setTimeout>}>} */
  #waiting = new Map();
  /** The notification that is shown for each room, and of which message. @type {Map<string, {seq: number, shown: Notification}>} */
  #shown = new Map();
  /** What other tabs of this browser have in view. */
  #tabs = new BroadcastChannel("multichat.in_view");
  #isConnected = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resuming;
  /** Whether this browser is subscribed, as far as this page knows. */
  #hasPush = false;
  /** @type {Promise<unknown>} */
  #pushing = Promise.resolve();

  /** @param {HTMLElement} button @param {NotificationActions} actions */
  constructor(button, actions) {
    this.#button = button;
    this.#actions = actions;
    for (const [room, head] of actions.unread.heads) this.#heads.set(room, head);
    this.#tabs.onmessage = ({ data: { room, seq } }) => this.#drop(room, seq);
    for (const name of NAMES)
      actions.preferences.follow(name, () => {
        this.showState();
        this.#updatePush();
      });
  }

  get #isOn() {
    const isGranted = globalThis.Notification?.permission === "granted";
    return isGranted && this.#actions.preferences.get("notifies");
  }

  get #pausedUntil() {
    const until = this.#actions.preferences.get("pausedUntil");
    return until > Date.now() ? until : 0;
  }

  /** Show at the button whether notifications are on, off or paused. */
  showState() {
    const until = this.#pausedUntil;
    const state = !this.#isOn ? "off" : until ? "paused" : "on";
    const words = {
      off: gettext("Off"),
      on: gettext("On"),
      paused: gettext("Paused until {time}", { time: clockOf(until, chosenClock()) }),
    }[state];
    this.#button.ariaDescription = words;
    this.#button.title = gettext("Notifications: {state}", { state: words });
    clearTimeout(this.#resuming);
    // At most a day ahead, because a longer time would overflow.
    const wait = Math.min(until - Date.now() + 100, DAY_MS);
    if (until) this.#resuming = setTimeout(() => this.showState(), wait);
    part(this.#button, "bell").hidden = state !== "on";
    part(this.#button, "bell-off").hidden = state === "on";
    if (state !== "on") this.#clear();
  }

  /** The button was clicked: ask for the permission, or offer what can be changed. */
  async act() {
    if (this.#isOn)
      return this.#actions.menus.open(this.#button, gettext("Notifications"), () => this.#items());
    const { notices, preferences } = this.#actions;
    if (!("Notification" in globalThis)) return notices.show(NOTIFYING_MISSING);
    // Browsers ask only once. Later they answer at once with what the user has chosen.
    if ((await Notification.requestPermission()) !== "granted")
      return notices.show(NOTIFYING_BLOCKED);
    preferences.set("pausedUntil", 0);
    preferences.set("notifies", true);
  }

  /** A notification of the service worker was clicked. @param {{room: string, seq: number}} message */
  async clicked({ room, seq }) {
    const { roomOf, show, notices } = this.#actions;
    if (roomOf(room)) return show(room, seq);
    // The user may have lost the room, or a page that was asleep may not know a new room yet.
    const answer = await fetch(`/rooms/${encodeURIComponent(room)}/members/`).catch(() => null);
    /** @type {{room?: Room, error?: string, detail?: string}} */
    const { room: found, error = "", detail = "" } = (await answer?.json().catch(() => null)) ?? {};
    if (found) return show(room, seq, found);
    const isGone = ["ROOM_INVALID", "ROOM_ACCESS_DENIED"].includes(error);
    notices.show(isGone ? ROOM_GONE : detail || AWAY);
  }

  /** @returns {Item[]} */
  #items() {
    const { preferences } = this.#actions;
    const pause = (/** @type {number} */ until) => preferences.set("pausedUntil", until);
    return [
      ...(this.#pausedUntil ? [{ label: gettext("Resume"), act: () => pause(0) }] : []),
      ...pauses(new Date(), chosenClock()).map(({ label, until }) => ({
        label,
        act: () => pause(until),
      })),
      ...(canPush() ? this.#pushItems() : []),
      { label: gettext("Turn off"), act: () => preferences.set("notifies", false) },
    ];
  }

  /** @returns {Item[]} */
  #pushItems() {
    const { preferences } = this.#actions;
    const [pushes, withText] = [preferences.get("pushes"), preferences.get("pushesText")];
    const text = /** @type {Item} */ ({
      label: gettext("Show the text there"),
      isOn: withText,
      act: () => preferences.set("pushesText", !withText),
    });
    return [
      {
        label: gettext("Also while Multichat is closed"),
        isOn: pushes,
        act: () => preferences.set("pushes", !pushes),
      },
      ...(pushes ? [text] : []),
    ];
  }

  /** Tell the push service and the server what the user wants, one change after the other. */
  #updatePush() {
    const { preferences, notices } = this.#actions;
    const [pushes, showsText] = [preferences.get("pushes"), preferences.get("pushesText")];
    const isWanted = pushes && this.#isOn;
    if (!canPush() || (!isWanted && !this.#hasPush)) return;
    this.#hasPush = isWanted;
    this.#pushing = this.#pushing.then(async () => {
      try {
        const { turnOff, turnOn } = await import("lazy/push");
        if (!isWanted) return await turnOff();
        const trouble = await turnOn({ showsText, pausedUntil: this.#pausedUntil });
        if (trouble) notices.show(trouble);
      } catch {
        notices.show(NOT_LOADED);
      }
    });
  }

  /** @param {State} state */
  connectionChanged(state) {
    const isConnected = state === "open";
    // Nothing of a room stays on the screen when the user is signed out.
    if (state === "signed out") this.#clear();
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    // What is missed meanwhile is replayed and no news.
    this.#heads.clear();
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  /** @param {HeadsFrame["heads"]} heads */
  headsReceived(heads) {
    for (const [room, { head, read, unread, level, alerts }] of Object.entries(heads)) {
      // A direct room that is new to the reader begins with its first message.
      const isNew = this.#actions.roomOf(room)?.kind === "direct" && head === 1;
      const before = this.#heads.get(room) ?? (isNew && this.#heads.size ? 0 : head);
      this.#heads.set(room, head);
      if (read >= (this.#shown.get(room)?.seq ?? Infinity)) this.#close(room);
      if (head <= before || unread === 0) continue;
      const isForUser = level !== "quiet" || (alerts ?? []).some((seq) => seq > before);
      if (isForUser) this.#wait(room, Math.max(before, read), head);
    }
  }

  /** @param {string} room @param {number} after @param {number} seq */
  #wait(room, after, seq) {
    if (this.#actions.isInView(room)) return this.#tabs.postMessage({ room, seq });
    if (!this.#isOn || this.#pausedUntil) return;
    const waiting = this.#waiting.get(room);
    if (waiting) waiting.seq = seq;
    else
      this.#waiting.set(room, { after, seq, timer: setTimeout(() => this.#ask(room), DELAY_MS) });
  }

  /** Ask for the message, unless it was read or is in view by now. @param {string} room */
  #ask(room) {
    const waiting = this.#waiting.get(room);
    this.#waiting.delete(room);
    if (!waiting || !this.#isOn || this.#pausedUntil) return;
    const { after, seq } = waiting;
    const read = this.#actions.unread.readOf(room) ?? seq;
    if (read >= seq || this.#actions.isInView(room)) return;
    this.#actions.send({ command: "notify", room, seq, after: Math.max(after, read) });
  }

  /** The server lets this page, and no other one of the user, show the message. @param {NotifyFrame} frame */
  notified({ notify: room, event }) {
    const found = this.#actions.roomOf(room);
    const read = this.#actions.unread.readOf(room) ?? 0;
    if (!event || event.message === null || !found || !this.#isOn || read >= event.seq) return;
    const { title, body } = notifyWords(tidy(found.title), {
      author: tidy(event.username && shownNames.of(event.username, event.user)),
      text: tidy(event.message),
      type: event.msg_type,
      isDirect: found.kind === "direct",
    });
    // The tag lets a newer notification of the room replace an older one, in other tabs too.
    const shown = new Notification(title, { body, tag: `room-${room}`, icon: ICON, dir: "auto" });
    shown.onclick = () => {
      shown.close();
      window.focus();
      this.#actions.show(room, event.seq);
    };
    this.#shown.set(room, { seq: event.seq, shown });
  }

  /** Another tab has the message in view. @param {string} room @param {number} seq */
  #drop(room, seq) {
    const waiting = this.#waiting.get(room);
    if (!waiting || waiting.seq > seq) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(room);
  }

  /** The reader may not see a room any more, or has read it. @param {string} room */
  #close(room) {
    this.#shown.get(room)?.shown.close();
    this.#shown.delete(room);
  }

  /** @param {string} room */
  removeRoom(room) {
    this.#close(room);
    this.#heads.delete(room);
    this.#drop(room, Infinity);
  }

  #clear() {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    for (const room of [...this.#shown.keys()]) this.#close(room);
  }
}

/** The settings that change what this browser shows. */
const NAMES = /** @type {const} */ (["notifies", "pausedUntil", "pushes", "pushesText"]);

/** The clock that the user has chosen. */
function chosenClock() {
  return document.documentElement.dataset.clock;
}

function canPush() {
  return "serviceWorker" in navigator && "PushManager" in globalThis;
}

const ICON = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel="icon"]'))
  ?.dataset.plain;
