/** The page as the workspace's view: panes in a row, the list, notices, and the state of the line. */

import { Announcer } from "./announcer.js";
import { findRoom } from "./find_room.js";
import { Notices } from "./notices.js";
import { RoomPane } from "./room_pane.js";
import { part, setHue } from "./templates.js";
import { sentenceFor, stateWords } from "./words.js";

/** @import {State} from "./connection.js" */
/** @import {Outbox} from "./outbox.js" */
/** @import {ErrorFrame, Limits, PresentFrame, Room, Signal} from "./protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {Message} from "./room_log.js" */
/** @import {Workspace} from "./workspace.js" */

/** What the server tells the page. @typedef {{user: {id: number, username: string, staff: boolean}, rooms: Room[], open: string[], notice: string, stream: string, limits: Limits}} Config */

/** Below this width one pane is seen at a time: the same number as in chat.css. */
const PHONE = "(max-width: 700px)";

export class Page {
  #config;
  #outbox;
  /** @type {Workspace | null} */
  #workspace = null;
  /** @type {Map<string, RoomPane>} */
  #panes = new Map();
  #row = part(document, "panes");
  #list = /** @type {RoomList} */ (part(document, "room-list"));
  #notices = new Notices(part(document, "notices"));
  #announcer = new Announcer(part(document, "announcer"));
  /** The pane seen on a phone. @type {string | null} */
  #seen = null;
  #retryAt = 0;
  /** @type {State} */
  #state = "connecting";

  /**
   * @param {Config} config
   * @param {Outbox} outbox
   */
  constructor(config, outbox) {
    this.#config = config;
    this.#outbox = outbox;
  }

  /** @param {Workspace} workspace */
  begin(workspace) {
    this.#workspace = workspace;
    this.#list.begin(
      (room) => this.#toggle(room),
      (title) => this.#openByName(title),
    );
    this.#outbox.onchange = (room) => this.#panes.get(room)?.showUnsent(this.#outbox.of(room));
    for (const form of document.querySelectorAll("form[data-sign-out]")) {
      form.addEventListener("submit", () => this.#outbox.clear());
    }
    setHue(part(document, "my-avatar"), this.#config.user.username);
    this.#row.addEventListener("focusin", ({ target }) => this.#see(paneOf(target)));
    matchMedia(PHONE).addEventListener("change", () => this.#see(this.#seen));
  }

  /** Say what the outbox holds for rooms that are gone; the texts stay until they are discarded. */
  showOrphans() {
    const gone = this.#outbox.rooms.filter((room) => !this.#workspace?.rooms.has(room));
    for (const entry of gone.flatMap((room) => this.#outbox.of(room))) {
      const text = `A text of yours was not sent, and its room is gone or closed to you: “${entry.text}”`;
      this.#notices
        .say(text)
        ?.addEventListener("click", () => this.#outbox.discard(entry.client_id));
    }
  }

  /** Once a second: the countdown. */
  tick() {
    const [words, countdown] = stateWords(this.#state, this.#retryAt - Date.now());
    setText(part(document, "state-words"), words);
    setText(part(document, "state-countdown"), countdown);
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connection(state, retryAt) {
    this.#state = state;
    this.#retryAt = retryAt;
    part(document, "state").dataset.state = state;
    const link = /** @type {HTMLAnchorElement} */ (part(document, "sign-in"));
    link.hidden = state !== "signed out";
    link.textContent = link.hidden ? "" : "sign in again";
    link.search = `?next=${encodeURIComponent(location.pathname + location.search)}`;
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
      wishes: this.#wishes(room.id),
    });
    this.#panes.set(room.id, pane);
    this.#row.append(pane);
    if (!this.#list.has(room.id)) this.#list.add(room);
    pane.showUnsent(this.#outbox.of(room.id));
    if (isByUser) {
      this.#see(room.id);
      pane.scrollIntoView({ block: "nearest", inline: "nearest" });
      pane.focusComposer();
    } else this.#see(this.#seen ?? room.id);
  }

  /**
   * @param {Room} room
   * @param {string} [reason] a code, when the server closed it
   */
  closed(room, reason) {
    const pane = this.#panes.get(room.id);
    const draft = pane?.draft ?? "";
    pane?.remove();
    this.#panes.delete(room.id);
    this.#see(this.#seen === room.id ? ([...this.#panes.keys()].at(-1) ?? null) : this.#seen);
    if (reason === undefined) return;
    this.#list.drop(room.id);
    this.#notices.say(`“${room.title}” was closed. ${sentenceFor(reason)}`);
    if (draft.trim()) this.#notices.say(`What you were writing in “${room.title}”: “${draft}”`);
    this.showOrphans();
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
    this.#panes.get(room)?.showHistory(messages);
  }

  /**
   * @param {string} room
   * @param {Message} message
   * @param {boolean} isNew
   */
  changed(room, message, isNew) {
    const isOwn = message.username === this.#config.user.username;
    this.#panes.get(room)?.show(message, isNew && !isOwn);
    if (!isNew || isOwn || message.text === null) return;
    this.#announcer.say(
      message.username,
      this.#workspace?.rooms.get(room)?.title ?? "",
      message.text,
    );
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
  refused(room, { error, detail, retry_after }) {
    const sentence = sentenceFor(error, detail);
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
      /** @param {string} text */
      send: (text) => {
        this.#outbox.add(id, text);
        this.#panes.get(id)?.showTrouble("");
        this.#panes.get(id)?.toBottom();
      },
      retry: this.#outbox.retry.bind(this.#outbox),
      discard: this.#outbox.discard.bind(this.#outbox),
    };
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
    const isHidden = matchMedia(PHONE).matches && this.#seen !== id;
    if (!this.#panes.has(id)) this.#open(room);
    else if (isHidden) this.#see(id);
    else this.#close(id);
  }

  /** @param {Room} room */
  #open(room) {
    this.#workspace?.openPane(room, true);
    this.#keepAddress();
  }

  /**
   * Open a room by its name.
   * @param {string} title
   * @returns {Promise<string>} a sentence if there is none
   */
  async #openByName(title) {
    const room = await findRoom(title, this.#workspace?.rooms.values() ?? []);
    if (typeof room === "string") return room;
    if (!this.#panes.has(room.id)) this.#open(room);
    this.#see(room.id);
    this.#panes.get(room.id)?.focusComposer();
    return "";
  }

  #keepAddress() {
    const open = this.#workspace?.open ?? [];
    history.replaceState(null, "", open.length ? `/?rooms=${open.join(",")}` : "/");
  }

  /** @param {string | null} id */
  #see(id) {
    this.#seen = id;
    for (const [room, pane] of this.#panes) pane.classList.toggle("seen", room === id);
    this.#list.mark([...this.#panes.keys()], id);
    part(document, "none-open").hidden = this.#panes.size > 0;
  }
}

/** @param {EventTarget | null} target */
function paneOf(target) {
  const pane = target instanceof Element ? target.closest("room-pane") : null;
  return pane instanceof RoomPane ? pane.room : null;
}

/** Only when it changed: a status that is set again is read out again. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
