/** The page as the workspace's view: panes in a row, the list, notices, and the state of the line. */

import { Notices } from "../dom/notices.js";
import { part, setHue } from "../dom/templates.js";
import { followZone, today } from "../log/days.js";
import { isForMe, isOwn } from "../model/own.js";
import { ALERT, isSoon } from "../model/protocol.js";
import { NEW_VERSION, senderWords, sentenceFor, soonSentence } from "../model/strings.js";
import { showOverflow } from "../pane/overflow.js";
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
  #connectionStatus = new ConnectionStatus(this.#notices);
  #isUpdateDue = false;
  #serverVersion = "";
  unsent;
  #readTracker;
  // Made when there is a workspace to ask.
  #userActions = /** @type {UserActions} */ (/** @type {unknown} */ (null));

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
    this.#readTracker = new ReadTracker(unread, {
      panes: this.#panes,
      list: this.#list,
      open: (room) => this.#userActions.focusRoom(room),
      toNew: (room) => this.#userActions.jumpToNew(room),
    });
  }

  /** @param {Workspace} workspace */
  start(workspace) {
    this.#workspace = workspace;
    this.#userActions = new UserActions(workspace, {
      panes: this.#panes,
      list: this.#list,
      notices: this.#notices,
      reading: this.#readTracker,
      user: this.#config.user,
      kept: this.#kept,
    });
    this.unsent.start(() => workspace.rooms);
    guardSignOut(/** @type {HTMLFormElement} */ (part(document, "sign-out")), {
      unsent: () => this.unsent.count,
      forget: () => this.#clearStorage(),
      uncover: () => this.#list.collapse(),
      notices: this.#notices,
    });
    setHue(part(document, "my-avatar"), this.#config.user.username);
    this.#alerts.onchange = (room) =>
      this.#panes.get(room)?.showAlerts(this.#alerts.alertsOf(room));
    const look = showOverflow(part(document, "panes"), this.#panes);
    this.#panes.onchange = () => this.#showOpenRoomsSoon(look);
  }

  /** At sign-out nothing that was written stays in the browser. */
  #clearStorage() {
    this.unsent.clear();
    this.#alerts.clear();
  }

  /** Where keys do nothing: what is being typed must not go on in another room. */
  #focusNothing() {
    part(document, "panes-and-notices").focus({ preventScroll: true });
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  jumpToMessage(room, seq) {
    this.#userActions.jumpToMessage(room, seq);
  }

  /** Once a second: the countdown, and whether it is another day or zone. */
  tick() {
    if (followZone()) for (const pane of this.#panes.all) pane.updateZone();
    if (this.#day !== today()) for (const pane of this.#panes.all) pane.updateDays();
    this.#day = today();
    this.unsent.tick();
    this.#connectionStatus.tick();
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connectionChanged(state, retryAt) {
    if (state === "signed out") this.#hideRooms();
    if (state === "open") {
      this.#unhideRooms();
      this.unsent.connected();
      this.#readTracker.connected();
      this.#userActions.connected();
    }
    this.#connectionStatus.showState(state, retryAt);
  }

  /** Another user has signed in in this browser. */
  userReplaced() {
    this.#connectionStatus.showUserReplaced();
  }

  /** Signed out, and perhaps somebody else looks: nothing of the rooms is shown. Texts that are not sent stay. */
  #hideRooms() {
    this.#showRooms(false);
    this.#readTracker.setRooms([]);
    for (const pane of this.#panes.all) {
      pane.showAlerts([]);
      pane.showPresent([]);
    }
  }

  #unhideRooms() {
    if (!part(document, "panes").hidden) return;
    this.#showRooms(true);
    for (const pane of this.#panes.all) pane.showAlerts(this.#alerts.alertsOf(pane.room));
  }

  /** @param {boolean} areShown */
  #showRooms(areShown) {
    for (const name of ["panes", "nav", "find", "sign-out", "all"])
      part(document, name).hidden = !areShown;
    this.#list.collapse();
    this.#showOpenRooms();
  }

  /**
   * @param {Room} room
   * @param {boolean} isByUser
   */
  paneOpened(room, isByUser) {
    const pane = /** @type {RoomPane} */ (document.createElement("room-pane"));
    pane.configure(room, {
      me: this.#config.user,
      limits: this.#config.limits,
      draft: this.unsent.openDraft(room.id),
      wishes: this.#userActions.actionsFor(room.id),
    });
    if (!this.#list.hasRoom(room.id)) this.#list.addRoom(room);
    this.#panes.addPane(pane);
    this.unsent.showUnsent(room.id);
    pane.showAlerts(this.#alerts.alertsOf(room.id));
    pane.addEventListener("focusin", (event) => {
      const from = /** @type {Node | null} */ (event.relatedTarget);
      if (!pane.contains(from)) this.#readTracker.paneFocused(room.id);
    });
    this.#readTracker.paneOpened(pane);
    if (!isByUser) return;
    this.#panes.scrollToPane(room.id);
    pane.focusComposer();
  }

  /**
   * @param {Room} room
   * @param {string} [reason] a code, when the server closed it
   */
  paneClosed(room, reason) {
    const pane = this.#panes.get(room.id);
    const hadFocus = pane?.contains(document.activeElement) === true;
    this.#panes.removePane(room.id);
    this.unsent.closeDraft(room.id);
    if (reason === undefined) return this.unsent.showUnsent(room.id);
    this.#alerts.forgetRoom(room.id);
    this.#list.removeRoom(room.id);
    this.unsent.roomClosed(room, reason);
    this.#readTracker.setRooms(this.#list.order);
    this.#userActions.roomClosed(room.id);
    if (hadFocus) this.#focusNothing();
  }

  /** The panes of the address are open. */
  layoutRestored() {
    this.#userActions.layoutRestored();
  }

  /** @param {string} room @param {Posted[]} alerts as the server has them */
  alertsReceived(room, alerts) {
    this.#alerts.mergeAlerts(room, alerts);
  }

  /** @param {string} room */
  logCleared(room) {
    this.#panes.get(room)?.clearLog();
    if (this.unsent.logReset(room)) this.#focusNothing();
  }

  /**
   * @param {string} room
   * @param {Message[]} messages
   * @param {Edges} edges
   */
  pageReceived(room, messages, edges) {
    const pane = this.#panes.get(room);
    if (!pane) return;
    pane.showHistory(messages, edges);
    this.#alerts.applyMessages(room, messages, false);
    this.#readTracker.pageShown(pane);
  }

  /**
   * @param {string} room
   * @param {Message} message
   * @param {boolean} isNew
   * @param {boolean} isFromHere written on this page
   */
  messageChanged(room, message, isNew, isFromHere) {
    const isMine = isOwn(message, this.#config.user);
    const pane = this.#panes.get(room);
    pane?.showMessage(message, isNew && !isMine);
    if (pane && isNew && !isMine) this.#readTracker.messageArrived(pane);
    this.#alerts.applyMessages(room, [message], isNew);
    if (isNew && isFromHere && !message.deleted) this.#panes.get(room)?.offerUndo(message, UNDO_MS);
    if (isNew && !isMine) this.#announce(room, message);
  }

  /** Other open panes stay silent: their messages would drown those of the pane that is being read. @param {string} room @param {Message} message */
  #announce(room, message) {
    const { text, type } = message;
    if (text === null) return;
    const isForReader = isForMe(message, this.#config.user);
    if (room !== this.#panes.seen && !isForReader && type !== ALERT) return;
    this.#announcer.announce(senderWords(message), this.#titleOf(room), text);
  }

  /** @param {Room[]} rooms @param {Room[]} gone */
  roomsChanged(rooms, gone) {
    for (const { id } of gone) this.#list.removeRoom(id);
    this.#list.updateRooms(rooms);
    for (const room of rooms) this.#panes.get(room.id)?.showRoom(room);
    this.#showOpenRooms();
    this.#readTracker.setRooms(this.#list.order);
    this.unsent.showOrphans();
  }

  /** @param {HeadsFrame["heads"]} heads */
  headsReceived(heads) {
    this.#readTracker.headsReceived(heads);
  }

  /**
   * @param {string} room
   * @param {Signal} signal
   */
  signalReceived(room, signal) {
    this.#panes.get(room)?.showSignal(signal);
  }

  /**
   * @param {string} room
   * @param {PresentFrame["present"]} present
   */
  presenceChanged(room, present) {
    this.#panes.get(room)?.showPresent(present);
  }

  /**
   * @param {string | null} room
   * @param {ErrorFrame} frame
   */
  commandRefused(room, frame) {
    const { error, detail, retry_after } = frame;
    if (error === "USER_HAS_TO_LOGIN") return; // said when the line closes, with the way back
    // The server's sentence tells a client what to do; some of it the page does by itself.
    const sentence = isSoon(frame) ? soonSentence(error) : sentenceFor(error, detail);
    const pane = this.#panes.get(room ?? "");
    if (pane) pane.showTrouble(sentence, isSoon(frame) ? retry_after : undefined);
    else this.#notices.show(sentence);
  }

  /** Once for all panes that are opened together: each time the list is sorted. @param {() => void} look */
  #showOpenRoomsSoon(look) {
    if (this.#isUpdateDue) return;
    this.#isUpdateDue = true;
    queueMicrotask(() => {
      this.#isUpdateDue = false;
      this.#showOpenRooms();
      requestAnimationFrame(look);
    });
  }

  /** The page is older than the server after an upgrade: said once for each version. @param {string} version */
  versionReceived(version) {
    const isKnown = version === this.#serverVersion;
    this.#serverVersion = version;
    const choices = [{ label: "Reload", act: () => location.reload(), stays: true }];
    if (isKnown || version === this.#config.version) return;
    this.#notices.show(NEW_VERSION, { choices, dismiss: "Later" });
  }

  #showOpenRooms() {
    const { layout, seen } = this.#panes;
    this.#list.showOpenRooms(layout.order, seen);
    part(document, "none-open").hidden = layout.order.length > 0 || part(document, "panes").hidden;
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace?.rooms.get(id)?.title ?? "";
  }
}
