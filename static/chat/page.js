/** The page as the workspace's view: panes in a row, the list, notices, and the state of the line. */

import { Announcer } from "./announcer.js";
import { today } from "./days.js";
import { findRoom } from "./find_room.js";
import { chord, isSelectingText, NEXT_UNREAD, PREVIOUS_UNREAD } from "./keys.js";
import { Menu } from "./menu.js";
import { messageItems } from "./message_menu.js";
import { Notices } from "./notices.js";
import { paneItems } from "./pane_menu.js";
import { PaneRow } from "./pane_row.js";
import { isTransient } from "./protocol.js";
import { Reading } from "./reading.js";
import { guardSignOut } from "./sign_out.js";
import { part, setHue } from "./templates.js";
import { AT_RISK, senderWords, sentenceFor, stateWords, unchangedSentence } from "./words.js";

/** @import {State} from "./connection.js" */
/** @import {Alerts} from "./alerts.js" */
/** @import {Drafts} from "./drafts.js" */
/** @import {Outbox} from "./outbox.js" */
/** @import {ErrorFrame, HeadsFrame, Limits, PresentFrame, Room, Signal} from "./protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "./room_pane.js" */
/** @import {Message} from "./room_log.js" */
/** @import {Unread} from "./unread.js" */
/** @import {Workspace} from "./workspace.js" */

/** What the server tells the page. @typedef {{user: {id: number, username: string, staff: boolean}, rooms: Room[], open: string[], wide: string | null, notice: string, stream: string, limits: Limits}} Config */

/** How long a text can be taken back by one click. */
const UNDO_MS = 10_000;
const LAYOUT_AFTER_MS = 400;

export class Page {
  #config;
  #outbox;
  #drafts;
  #alerts;
  #day = today();
  /** @type {Workspace | null} */
  #workspace = null;
  #panes = new PaneRow(part(document, "panes"));
  #list = /** @type {RoomList} */ (part(document, "room-list"));
  #notices = new Notices(part(document, "notices"));
  #announcer = new Announcer(part(document, "announcer"));
  #menu = new Menu(part(document, "menu"));
  #retryAt = 0;
  #wasAtRisk = false;
  #reading;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #layoutTimer;
  /** @type {State} */
  #state = "connecting";

  /**
   * @param {Config} config
   * @param {Outbox} outbox
   * @param {{drafts: Drafts, alerts: Alerts, unread: Unread}} kept
   */
  constructor(config, outbox, { drafts, alerts, unread }) {
    this.#config = config;
    this.#outbox = outbox;
    this.#drafts = drafts;
    this.#alerts = alerts;
    this.#panes.layout.wide = config.wide;
    this.#reading = new Reading(unread, {
      panes: this.#panes,
      list: this.#list,
      open: (room) => this.#turnTo(room),
    });
  }

  /** @param {Workspace} workspace */
  begin(workspace) {
    this.#workspace = workspace;
    this.#list.begin(
      (room) => this.#toggle(room),
      (title) => this.#openByName(title),
    );
    this.#outbox.onchange = (room) => this.#showUnsent(room);
    guardSignOut(/** @type {HTMLFormElement} */ (part(document, "sign-out")), {
      unsent: () => this.#outbox.unsent,
      forget: () => this.#forget(),
      uncover: () => this.#list.collapse(),
      notices: this.#notices,
    });
    setHue(part(document, "my-avatar"), this.#config.user.username);
    this.#alerts.onchange = (room) => this.#panes.get(room)?.showAlerts(this.#alerts.of(room));
    this.#panes.onchange = () => this.#mark();
    this.#panes.onarranged = () => this.#keepAddress();
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** At sign-out nothing that was written stays in the browser. */
  #forget() {
    this.#outbox.clear();
    this.#drafts.clear();
    this.#alerts.clear();
  }

  /** Say what the outbox holds for rooms that are gone; the texts stay until they are discarded. */
  showOrphans() {
    const gone = this.#outbox.rooms.filter((room) => !this.#workspace?.rooms.has(room));
    for (const entry of gone.flatMap((room) => this.#outbox.of(room))) {
      this.#notices.offer("A text of yours was not sent, and its room is gone or closed to you:", {
        key: entry.client_id,
        text: entry.text,
        discard: () => this.#outbox.discard(entry.client_id),
      });
    }
  }

  /** Once a second: the countdown, and whether it is another day. */
  tick() {
    if (this.#day !== today()) for (const pane of this.#panes.all) pane.relabel();
    this.#day = today();
    this.#warn();
    const [words, countdown] = stateWords(this.#state, this.#retryAt - performance.now());
    setText(part(document, "state-words"), words);
    setText(part(document, "state-countdown"), countdown);
  }

  /** @param {string} room */
  #showUnsent(room) {
    const texts = this.#outbox.of(room);
    const pane = this.#panes.get(room);
    pane?.showUnsent(texts);
    const waiting = pane ? 0 : texts.filter(({ state }) => state !== "sent").length;
    this.#list.markUnsent(room, waiting);
    // What kept them from being sent is over.
    if (texts.every(({ state }) => state !== "pending")) pane?.showTrouble("");
  }

  /** Most texts are sent before this is worth saying. */
  #warn() {
    const { isAtRisk } = this.#outbox;
    if (isAtRisk && this.#wasAtRisk) this.#notices.say(AT_RISK, { dismiss: null });
    if (!isAtRisk) this.#notices.drop(AT_RISK);
    this.#wasAtRisk = isAtRisk;
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connection(state, retryAt) {
    // Between two tries nothing is new: each change of the words would be read out.
    const isTrying = this.#state === "waiting" || this.#state === "returning";
    if (state !== "connecting" || !isTrying) this.#state = state;
    this.#retryAt = retryAt;
    if (state === "open") this.#reading.connected();
    part(document, "state").dataset.state = this.#state;
    const link = /** @type {HTMLAnchorElement} */ (part(document, "sign-in"));
    link.hidden = state !== "signed out";
    link.textContent = link.hidden ? "" : "sign in again";
    link.search = `?next=${encodeURIComponent(location.pathname + location.search)}`;
    if (state === "signed out")
      this.#notices.say(sentenceFor("USER_HAS_TO_LOGIN"), {
        link: { label: "Sign in again", href: link.href },
      });
    this.tick();
  }

  /**
   * @param {Room} room
   * @param {boolean} isByUser
   */
  opened(room, isByUser) {
    const pane = /** @type {RoomPane} */ (document.createElement("room-pane"));
    pane.begin(room, {
      me: this.#config.user.username,
      limits: this.#config.limits,
      draft: this.#drafts.of(room.id),
      wishes: this.#wishes(room.id),
    });
    if (!this.#list.has(room.id)) this.#list.add(room);
    this.#panes.add(pane);
    this.#showUnsent(room.id);
    pane.showAlerts(this.#alerts.of(room.id));
    pane.addEventListener("focusin", (event) => {
      const from = /** @type {Node | null} */ (event.relatedTarget);
      if (!pane.contains(from)) this.#reading.turnTo(room.id);
    });
    this.#reading.opened(pane);
    if (!isByUser) return;
    this.#panes.show(room.id);
    pane.focusComposer();
  }

  /**
   * @param {Room} room
   * @param {string} [reason] a code, when the server closed it
   */
  closed(room, reason) {
    const pane = this.#panes.get(room.id);
    const draft = pane?.draft ?? "";
    const hadFocus = pane?.contains(document.activeElement) === true;
    this.#panes.remove(room.id);
    if (reason === undefined) return this.#showUnsent(room.id);
    this.#alerts.forget(room.id);
    this.#list.drop(room.id);
    this.#notices.say(`“${room.title}” was closed. ${sentenceFor(reason)}`);
    if (draft.trim())
      this.#notices.offer(`What you were writing in “${room.title}”:`, {
        key: `draft ${room.id}`,
        text: draft,
        discard: () => this.#drafts.keep(room.id, ""),
      });
    this.showOrphans();
    this.#keepAddress();
    if (hadFocus) this.#list.focusFirst();
  }

  /** @param {string} room */
  cleared(room) {
    this.#panes.get(room)?.clear();
  }

  /**
   * @param {string} room
   * @param {Message[]} messages
   */
  paged(room, messages) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    pane.showHistory(messages);
    this.#alerts.take(room, messages);
    this.#reading.paged(pane);
  }

  /**
   * @param {string} room
   * @param {Message} message
   * @param {boolean} isNew
   * @param {boolean} isFromHere written on this page
   */
  changed(room, message, isNew, isFromHere) {
    const isOwn = message.username === this.#config.user.username;
    const pane = this.#panes.get(room);
    pane?.show(message, isNew && !isOwn);
    if (pane && isNew && !isOwn) this.#reading.arrived(pane);
    this.#alerts.take(room, [message]);
    if (isNew && isFromHere && !message.deleted)
      this.#panes.get(room)?.offerUndo(message.seq, UNDO_MS);
    if (!isNew || isOwn || message.text === null) return;
    this.#announcer.say(senderWords(message), this.#titleOf(room), message.text);
  }

  /** @param {Room[]} rooms @param {Room[]} gone */
  listed(rooms, gone) {
    for (const { id } of gone) this.#list.drop(id);
    this.#list.take(rooms);
    for (const room of rooms) this.#panes.get(room.id)?.rename(room);
    this.#mark();
  }

  /** @param {HeadsFrame["heads"]} heads */
  counted(heads) {
    this.#reading.counted(heads);
  }

  /**
   * @param {string} room
   * @param {Signal} signal
   */
  signalled(room, signal) {
    this.#panes.get(room)?.showSignal(signal);
  }

  /**
   * @param {string} room
   * @param {PresentFrame["present"]} present
   */
  present(room, present) {
    this.#panes.get(room)?.showPresent(present);
  }

  /**
   * @param {string | null} room
   * @param {ErrorFrame} frame
   */
  refused(room, frame) {
    const { error, detail, retry_after, command } = frame;
    if (error === "USER_HAS_TO_LOGIN") return; // said when the line closes, with the way back
    // The server's sentence tells a client what to do; the page does it by itself.
    const isByItself = command !== undefined && isTransient(frame);
    const sentence = sentenceFor(error, isByItself ? undefined : detail);
    const pane = this.#panes.get(room ?? "");
    if (pane) pane.showTrouble(sentence, retry_after);
    else this.#notices.say(sentence);
  }

  /** @param {string} id */
  #wishes(id) {
    return {
      close: () => {
        this.#close(id);
        this.#list.focusRoom(id);
      },
      older: () => this.#workspace?.askOlder(id),
      look: () => this.#reading.lookSoon(),
      /** @param {number} seq */
      dropBefore: (seq) => this.#workspace?.dropBefore(id, seq),
      /** @param {string} at */
      gotIt: (at) => this.#alerts.gotIt(id, at),
      /** @param {HTMLElement} button */
      menu: (button) =>
        this.#menu.open(button, this.#titleOf(id), paneItems(this.#panes, id, this.#reading)),
      /** @param {HTMLElement} button @param {Message} message */
      act: (button, message) =>
        this.#menu.open(
          button,
          "Message",
          messageItems(message, this.#config.user, {
            edit: () => this.#edit(id, message),
            markUnread: () => this.#reading.markUnread(id, message.seq),
            remove: () => this.#remove(id, message),
            copyText:
              navigator.clipboard && (() => navigator.clipboard.writeText(message.text ?? "")),
          }),
        ),
      /** @param {Message} message */
      edit: (message) => this.#edit(id, message),
      /** @param {Message} message */
      undo: (message) => this.#undo(id, message),
      /** @param {string} text */
      draft: (text) => this.#drafts.keep(id, text),
      /** @param {string} text */
      send: (text) => {
        this.#outbox.add(id, text);
        const pane = this.#panes.get(id);
        if (pane) this.#reading.wrote(pane);
        this.#panes.get(id)?.showTrouble("");
        this.#panes.get(id)?.toBottom();
      },
      retry: this.#outbox.retry.bind(this.#outbox),
      discard: this.#outbox.discard.bind(this.#outbox),
    };
  }

  /** @param {string} id @param {Message} message */
  #edit(id, { seq, text }) {
    const pane = this.#panes.get(id);
    pane?.composer.beginEdit(text ?? "", (message) => {
      pane.showTrouble("");
      this.#workspace?.change(
        { command: "edit", room: id, seq, message },
        {
          done: () => pane.composer.endEdit(),
          failed: (frame) => {
            pane.composer.keepEdit();
            pane.showTrouble(unchangedSentence(frame));
          },
        },
      );
    });
  }

  /** @param {string} id @param {Message} message */
  #remove(id, { seq }) {
    const pane = this.#panes.get(id);
    pane?.showTrouble("");
    this.#workspace?.change(
      { command: "delete", room: id, seq },
      { done: () => {}, failed: (frame) => pane?.showTrouble(unchangedSentence(frame)) },
    );
  }

  /** The text is back before it is gone: whatever happens to the line, it is not lost. @param {string} id @param {Message} message */
  #undo(id, message) {
    const composer = this.#panes.get(id)?.composer;
    if (!composer) return;
    composer.text = [message.text, composer.draft].filter(Boolean).join("\n");
    composer.focus();
    this.#remove(id, message);
  }

  /** @param {string} id */
  #close(id) {
    this.#workspace?.closePane(id);
    this.#keepAddress();
  }

  /** A click opens a room, another closes it; on a phone the first one may only bring it to the front. @param {string} id */
  #toggle(id) {
    const room = this.#workspace?.rooms.get(id);
    if (room === undefined) return;
    if (!this.#panes.get(id)) this.#open(room);
    else if (this.#panes.isPhone && this.#panes.seen !== id) this.#panes.see(id);
    else this.#close(id);
  }

  /** The user asked for this room: open or not, its composer gets the keys. @param {string} id */
  #turnTo(id) {
    const room = this.#workspace?.rooms.get(id);
    if (room && !this.#panes.get(id)) this.#open(room);
    this.#panes.show(id);
    this.#panes.get(id)?.focusComposer();
  }

  /** @param {Room} room @param {boolean} isByUser */
  #open(room, isByUser = true) {
    this.#workspace?.openPane(room, isByUser);
    this.#keepAddress();
  }

  /**
   * Open a room by its name.
   * @param {string} title
   * @returns {Promise<string>} a sentence if there is none
   */
  async #openByName(title) {
    const asked = document.activeElement;
    const room = await findRoom(title, this.#workspace?.rooms.values() ?? []);
    if (typeof room === "string") return room;
    // Who went on elsewhere while the server was asked keeps the keys, and what is in view.
    const isWaiting = document.activeElement === asked;
    if (!this.#panes.get(room.id)) this.#open(room, isWaiting);
    if (!isWaiting) return "";
    this.#list.collapse();
    this.#panes.show(room.id);
    this.#panes.get(room.id)?.focusComposer();
    return "";
  }

  /** In the address at once, and for this user's other browsers when the hand rests. */
  #keepAddress() {
    const { layout } = this.#panes;
    history.replaceState(null, "", layout.address);
    clearTimeout(this.#layoutTimer);
    this.#layoutTimer = setTimeout(
      () => this.#workspace?.keepLayout(layout.order, layout.wide),
      LAYOUT_AFTER_MS,
    );
  }

  #mark() {
    const { layout, seen } = this.#panes;
    this.#list.mark(layout.order, seen);
    part(document, "none-open").hidden = layout.order.length > 0;
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace?.rooms.get(id)?.title ?? "";
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const keys = chord(event, isSelectingText(event.target, navigator.platform));
    const room = this.#panes.focused?.room;
    const items = room ? paneItems(this.#panes, room, this.#reading) : [];
    if (keys === NEXT_UNREAD) this.#reading.next(1);
    else if (keys === PREVIOUS_UNREAD) this.#reading.next(-1);
    else if (items.some((item) => item.keys === keys))
      items.find((item) => item.keys === keys)?.act();
    else return;
    event.preventDefault();
  }
}

/** Only when it changed: a status that is set again is read out again. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
