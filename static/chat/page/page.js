/** The page as the workspace's view: panes in a row, the list, notices, and the state of the line. */

import { Notices } from "../dom/notices.js";
import { part, setHue } from "../dom/templates.js";
import { followZone, today } from "../log/days.js";
import { isForMe, isOwn } from "../model/own.js";
import { ALERT, isSoon } from "../model/protocol.js";
import { NEW_VERSION, senderWords, sentenceFor, soonSentence } from "../model/strings.js";
import { watchEdges } from "../pane/overflow.js";
import { PaneRow } from "../pane/pane_row.js";
import { Announcer } from "./announcer.js";
import { ConnectionStatus } from "./connection_status.js";
import { ReadTracker } from "./read_tracker.js";
import { guardSignOut } from "./sign_out.js";
import { Unsent } from "./unsent.js";
import { UserActions } from "./user_actions.js";

/** @import {State} from "../model/connection.js" */
/** @import {Alerts} from "../model/alerts.js" */
/** @import {Drafts} from "../model/drafts.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {ErrorFrame, HeadsFrame, Limits, Posted, PresentFrame, Room, Signal} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Unread} from "../model/unread.js" */
/** @import {Edges, Workspace} from "../model/workspace.js" */

/** What the server tells the page. @typedef {{user: {id: number, username: string, staff: boolean, since?: string}, rooms: Room[], epochs: Record<string, string>, open: string[], wide: string | null, at: {room: string, seq: number} | null, notice: string, stream: string, session: string, version: string, limits: Limits}} Config */

/** How long a text can be taken back by one click. */
const UNDO_MS = 10_000;

export class Page {
  #config;
  #alerts;
  #kept;
  #day = today();
  /** @type {Workspace | null} */
  #workspace = null;
  #panes = new PaneRow(part(document, "panes"));
  #list = /** @type {RoomList} */ (part(document, "room-list"));
  #notices = new Notices(part(document, "notices"));
  #announcer = new Announcer(part(document, "announcer"));
  #line = new ConnectionStatus(this.#notices);
  #isMarkDue = false;
  #serverVersion = "";
  unsent;
  #reading;
  // Made when there is a workspace to ask.
  #deeds = /** @type {UserActions} */ (/** @type {unknown} */ (null));

  /**
   * @param {Config} config
   * @param {Outbox} outbox
   * @param {{drafts: Drafts, alerts: Alerts, unread: Unread}} kept
   */
  constructor(config, outbox, { drafts, alerts, unread }) {
    this.#config = config;
    this.#alerts = alerts;
    this.#kept = { outbox, drafts, alerts, unread };
    this.unsent = new Unsent(this.#kept, {
      panes: this.#panes,
      list: this.#list,
      notices: this.#notices,
    });
    this.#panes.layout.wide = config.wide;
    this.#reading = new ReadTracker(unread, {
      panes: this.#panes,
      list: this.#list,
      open: (room) => this.#deeds.turnTo(room),
      toNew: (room) => this.#deeds.toNew(room),
    });
  }

  /** @param {Workspace} workspace */
  begin(workspace) {
    this.#workspace = workspace;
    this.#deeds = new UserActions(workspace, {
      panes: this.#panes,
      list: this.#list,
      notices: this.#notices,
      reading: this.#reading,
      user: this.#config.user,
      kept: this.#kept,
    });
    this.unsent.begin(() => workspace.rooms);
    guardSignOut(/** @type {HTMLFormElement} */ (part(document, "sign-out")), {
      unsent: () => this.unsent.count,
      forget: () => this.#forget(),
      uncover: () => this.#list.collapse(),
      notices: this.#notices,
    });
    setHue(part(document, "my-avatar"), this.#config.user.username);
    this.#alerts.onchange = (room) => this.#panes.get(room)?.showAlerts(this.#alerts.of(room));
    const look = watchEdges(part(document, "panes"), this.#panes);
    this.#panes.onchange = () => this.#markSoon(look);
  }

  /** At sign-out nothing that was written stays in the browser. */
  #forget() {
    this.unsent.forget();
    this.#alerts.clear();
  }

  /** Where keys do nothing: what is being typed must not go on in another room. */
  #focusNothing() {
    part(document, "panes-and-notices").focus({ preventScroll: true });
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  goTo(room, seq) {
    this.#deeds.goTo(room, seq);
  }

  /** Once a second: the countdown, and whether it is another day or zone. */
  tick() {
    if (followZone()) for (const pane of this.#panes.all) pane.redate();
    if (this.#day !== today()) for (const pane of this.#panes.all) pane.relabel();
    this.#day = today();
    this.unsent.tick();
    this.#line.tick();
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connection(state, retryAt) {
    if (state === "signed out") this.#cover();
    if (state === "open") {
      this.#uncover();
      this.unsent.connected();
      this.#reading.connected();
      this.#deeds.connected();
    }
    this.#line.show(state, retryAt);
  }

  /** Another user has signed in in this browser. */
  replaced() {
    this.#line.replaced();
  }

  /** Signed out, and perhaps somebody else looks: nothing of the rooms is shown. Texts that are not sent stay. */
  #cover() {
    this.#showRooms(false);
    this.#reading.keep([]);
    for (const pane of this.#panes.all) {
      pane.showAlerts([]);
      pane.showPresent([]);
    }
  }

  #uncover() {
    if (!part(document, "panes").hidden) return;
    this.#showRooms(true);
    for (const pane of this.#panes.all) pane.showAlerts(this.#alerts.of(pane.room));
  }

  /** @param {boolean} areShown */
  #showRooms(areShown) {
    for (const name of ["panes", "nav", "find", "sign-out", "all"])
      part(document, name).hidden = !areShown;
    this.#list.collapse();
    this.#mark();
  }

  /**
   * @param {Room} room
   * @param {boolean} isByUser
   */
  opened(room, isByUser) {
    const pane = /** @type {RoomPane} */ (document.createElement("room-pane"));
    pane.begin(room, {
      me: this.#config.user,
      limits: this.#config.limits,
      draft: this.unsent.open(room.id),
      wishes: this.#deeds.wishesOf(room.id),
    });
    if (!this.#list.has(room.id)) this.#list.add(room);
    this.#panes.add(pane);
    this.unsent.show(room.id);
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
    const hadFocus = pane?.contains(document.activeElement) === true;
    this.#panes.remove(room.id);
    this.unsent.close(room.id);
    if (reason === undefined) return this.unsent.show(room.id);
    this.#alerts.forget(room.id);
    this.#list.drop(room.id);
    this.unsent.closed(room, reason);
    this.#reading.keep(this.#list.order);
    this.#deeds.closed(room.id);
    if (hadFocus) this.#focusNothing();
  }

  /** The panes of the address are open. */
  opens() {
    this.#deeds.begin();
  }

  /** @param {string} room @param {Posted[]} alerts as the server has them */
  alerted(room, alerts) {
    this.#alerts.joined(room, alerts);
  }

  /** @param {string} room */
  cleared(room) {
    this.#panes.get(room)?.clear();
    if (this.unsent.startedOver(room)) this.#focusNothing();
  }

  /**
   * @param {string} room
   * @param {Message[]} messages
   * @param {Edges} edges
   */
  paged(room, messages, edges) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    pane.showHistory(messages, edges);
    this.#alerts.take(room, messages, false);
    this.#reading.paged(pane);
  }

  /**
   * @param {string} room
   * @param {Message} message
   * @param {boolean} isNew
   * @param {boolean} isFromHere written on this page
   */
  changed(room, message, isNew, isFromHere) {
    const isMine = isOwn(message, this.#config.user);
    const pane = this.#panes.get(room);
    pane?.show(message, isNew && !isMine);
    if (pane && isNew && !isMine) this.#reading.arrived(pane);
    this.#alerts.take(room, [message], isNew);
    if (isNew && isFromHere && !message.deleted) this.#panes.get(room)?.offerUndo(message, UNDO_MS);
    if (isNew && !isMine) this.#announce(room, message);
  }

  /** Other open panes stay silent: their messages would drown those of the pane that is being read. @param {string} room @param {Message} message */
  #announce(room, message) {
    const { text, type } = message;
    if (text === null) return;
    const isForReader = isForMe(message, this.#config.user);
    if (room !== this.#panes.seen && !isForReader && type !== ALERT) return;
    this.#announcer.say(senderWords(message), this.#titleOf(room), text);
  }

  /** @param {Room[]} rooms @param {Room[]} gone */
  listed(rooms, gone) {
    for (const { id } of gone) this.#list.drop(id);
    this.#list.take(rooms);
    for (const room of rooms) this.#panes.get(room.id)?.rename(room);
    this.#mark();
    this.#reading.keep(this.#list.order);
    this.unsent.showLeftovers();
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
    const { error, detail, retry_after } = frame;
    if (error === "USER_HAS_TO_LOGIN") return; // said when the line closes, with the way back
    // The server's sentence tells a client what to do; some of it the page does by itself.
    const sentence = isSoon(frame) ? soonSentence(error) : sentenceFor(error, detail);
    const pane = this.#panes.get(room ?? "");
    if (pane) pane.showTrouble(sentence, isSoon(frame) ? retry_after : undefined);
    else this.#notices.say(sentence);
  }

  /** Once for all panes that are opened together: each time the list is sorted. @param {() => void} look */
  #markSoon(look) {
    if (this.#isMarkDue) return;
    this.#isMarkDue = true;
    queueMicrotask(() => {
      this.#isMarkDue = false;
      this.#mark();
      requestAnimationFrame(look);
    });
  }

  /** The page is older than the server after an upgrade: said once for each version. @param {string} version */
  serverVersion(version) {
    const isKnown = version === this.#serverVersion;
    this.#serverVersion = version;
    const choices = [{ label: "Reload", act: () => location.reload(), stays: true }];
    if (isKnown || version === this.#config.version) return;
    this.#notices.say(NEW_VERSION, { choices, dismiss: "Later" });
  }

  #mark() {
    const { layout, seen } = this.#panes;
    this.#list.mark(layout.order, seen);
    part(document, "none-open").hidden = layout.order.length > 0 || part(document, "panes").hidden;
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace?.rooms.get(id)?.title ?? "";
  }
}
