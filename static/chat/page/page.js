/** The page as the workspace's view: panes in a row, the room list, notices, and the connection's state. */

import { focusNothing } from "../dom/focus.js";
import { Notices } from "../dom/notices.js";
import { part, setAvatar, setText, showName, updateNames } from "../dom/templates.js";
import { followClock, followZone, today } from "../log/days.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";
import { isForMe, isOwn } from "../model/own.js";
import { ALERT, isSoon } from "../model/protocol.js";
import { NEW_VERSION, NOT_LOADED, refusedSentence, senderWords } from "../model/strings.js";
import { showOverflow } from "../pane/overflow.js";
import { PaneRow } from "../pane/pane_row.js";
import { AlertLine } from "./alert_line.js";
import { Announcer } from "./announcer.js";
import { WhoIsAround } from "./around.js";
import { Attachments } from "./attachments.js";
import { ConnectionBar } from "./connection_bar.js";
import { ConnectionStatus } from "./connection_status.js";
import { EmojiSource } from "./emoji_source.js";
import { Notifier } from "./notifier.js";
import { paneSets } from "./pane_sets.js";
import { ReadTracker } from "./read_tracker.js";
import { Rooms } from "./rooms.js";
import { Search } from "./search.js";
import { guardSignOut } from "./sign_out.js";
import { Unsent } from "./unsent.js";
import { UserActions } from "./user_actions.js";

/** @import {ShownUser} from "../model/names.js" */
/** @import {State} from "../model/connection.js" */
/** @import {Send} from "../model/outbox.js" */
/** @import {Appearance, CopiesFrame, ErrorFrame, Event, HeadsFrame, Limits, NotifyFrame, Posted, PresentFrame, QuotedFrame, Room, Shape, Signal} from "../model/protocol.js" */
/** @import {PaneSets, Sent} from "../lazy/pane_sets.js" */
/** @import {SearchActions} from "../lazy/search_pane.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {UserData} from "./user_actions.js" */
/** @import {Edges, View, Workspace} from "../model/workspace.js" */

/** What the server puts into the page. @typedef {{user: {id: number, username: string, staff: boolean, since?: string}, users: Record<string, ShownUser>, rooms: Room[], epochs: Record<string, string>, open: string[], newcomer: boolean, now: number, wide: string | null, shapes: Record<string, Shape>, workspaces: Sent, at: {room: string, seq: number} | null, notice: string, stream: string, session: string, emoji: string, version: string, limits: Limits}} Config */

/** How long a message can be taken back by one click. */
const UNDO_MS = 10_000;

export class Page {
  #config;
  #alerts;
  #preferences;
  #day = today();
  #list = /** @type {RoomList} */ (part(document, "room-list"));
  #notices = new Notices(part(document, "notices"));
  #panes = new PaneRow(part(document, "panes"), this.#list, () => this.#notices.show(NOT_LOADED));
  #announcer = new Announcer(part(document, "announcer"));
  #connectionStatus = new ConnectionStatus(this.#notices);
  #alertLine;
  #connectionBar;
  #isUpdateDue = false;
  #serverVersion = "";
  workspace;
  unsent;
  #readTracker;
  #rooms;
  #sets;
  #attachments;
  #userActions;
  #search;
  #around;
  #notifier;

  /** Connect without waiting any longer. @type {() => void} */
  ontrynow = () => {};

  /**
   * @param {Config} config
   * @param {UserData} userData
   * @param {(view: View) => Workspace} createWorkspace
   * @param {Send} send
   */
  constructor(config, userData, createWorkspace, send) {
    const [panes, list, notices] = [this.#panes, this.#list, this.#notices];
    this.#config = config;
    this.#alerts = userData.alerts;
    this.#connectionBar = new ConnectionBar(
      config.stream,
      () => this.ontrynow(),
      () => this.#attachments.load(),
    );
    this.#preferences = userData.preferences;
    panes.layout.wide = config.wide;
    panes.layout.shapes = { ...config.shapes };
    if (Object.keys(config.shapes).length) panes.loadArrangement();
    this.workspace = createWorkspace(this);
    const { workspace } = this;
    // Only an open room's epoch follows its log.
    userData.unread.epochOf = (room) => (panes.get(room) ? workspace.epochOf(room) : undefined);
    this.unsent = new Unsent(userData, { panes, list, notices, workspace });
    this.#readTracker = new ReadTracker(userData.unread, {
      ...{ panes, list },
      focusRoom: (room) => this.#userActions.peekRoom(room),
      jumpToNew: (room) => this.#userActions.jumps.jumpToNew(room),
      isJumping: (room) => workspace.isJumping(room),
    });
    const notLoaded = () => notices.show(NOT_LOADED);
    this.#attachments = new Attachments(config, userData.tabs, notLoaded);
    this.#rooms = new Rooms({
      ...{ me: config.user, notices, notLoaded },
      openRoom: (...opened) => this.#userActions.navigation.goToRoom(...opened),
    });
    this.#userActions = new UserActions(workspace, {
      rooms: this.#rooms,
      ...{ panes, list, notices, notLoaded, userData },
      readTracker: this.#readTracker,
      user: config.user,
      emoji: new EmojiSource(config.emoji, userData.preferences),
      attachments: this.#attachments,
      moreOptions: (typed) => [
        ...(this.#sets.loaded?.optionsFor(typed) ?? []),
        ...this.#search.optionsFor(typed),
      ],
    });
    const { menus, navigation, askFirst, catchUp } = this.#userActions;
    this.#sets = paneSets(
      {
        ...{ panes, workspace, navigation, notices, askFirst, maxPanes: config.limits.rooms },
        endCatchUp: () => catchUp.loaded?.finish(),
        isWaiting: (room) => userData.outbox.isWaiting(room),
      },
      menus,
      config,
      notLoaded,
    );
    this.#around = new WhoIsAround(
      { titleOf: (room) => workspace.rooms.get(room)?.title, open: this.#rooms.openDirect },
      notLoaded,
    );
    /** @type {SearchActions} */
    const searchActions = {
      roomOf: (room) => workspace.rooms.get(room),
      show: (room, seq, isFinal) => this.#userActions.showFound(room.id, seq, isFinal, room),
      isPhone: () => panes.isPhone,
      begin: () => list.collapse(),
    };
    this.unsent.onchange = () => {
      const { carrying } = this.#userActions;
      if (carrying.loaded || userData.outbox.copies[0])
        carrying.use(({ copies }) => copies.update());
    };
    this.#search = new Search(part(document, "panes"), searchActions, notLoaded);
    this.#notifier = new Notifier(part(document, "notifications"), {
      ...{ ...userData, send, notices, menus },
      roomOf: (room) => workspace.rooms.get(room),
      isInView: (room) => {
        const pane = panes.get(room);
        const isAtEnd = pane?.list.isAtBottom === true && pane.list.isAtHead;
        return isAtEnd && document.visibilityState === "visible" && pane.isVisible;
      },
      show: (room, seq, found) => this.#userActions.showFound(room, seq, true, found),
    });
    guardSignOut(/** @type {HTMLFormElement} */ (part(document, "sign-out")), {
      countUnsent: () => this.unsent.count + (this.#attachments.trays.loaded?.waiting ?? 0),
      clearStorage: () => this.#clearStorage(),
      showNotices: () => list.collapse(),
      notices,
    });
    userData.preferences.follow("showsTyping", () => {
      if (!userData.preferences.get("showsTyping"))
        for (const pane of panes.all) pane.clearTyping();
    });
    const me = part(document, "my-name");
    showName(me, () => {
      const { username } = config.user;
      const shown = shownNames.of(username);
      setText(me, shown);
      setAvatar(part(document, "my-avatar"), username, shown, shownNames.pictureOf(username));
    });
    this.#alertLine = new AlertLine(this.#alerts, {
      ...{ list, readTracker: this.#readTracker, rooms: workspace.rooms },
      show: (room) => this.#userActions.peekRoom(room),
    });
    this.#alerts.onchange = (room) => {
      panes.get(room)?.showAlerts(this.#alerts.alertsOf(room));
      this.#alertLine.showRoom(room);
    };
    // If this fails, the server goes on listing the alert, and the page confirms it again.
    this.#alerts.onconfirm = (room, seq) =>
      workspace.changeMessage({ command: "confirm", room, seq }, { done() {}, failed() {} });
    const updateOverflow = showOverflow(part(document, "panes"), panes, (rooms) =>
      list.showAway(rooms),
    );
    addEventListener("beforeprint", () => {
      for (const pane of panes.all) pane.showHeld();
    });
    panes.onchange = () => this.#showOpenRoomsSoon(updateOverflow);
    panes.onfolded = (room) => this.unsent.showUnsent(room);
    userData.drafts.onsignout = () => {
      userData.outbox.close();
      this.#attachments.clear();
    };
  }

  /** After signing out, nothing that the user wrote stays in the browser. */
  #clearStorage() {
    this.unsent.clear();
    this.#alerts.clear();
    this.#userActions.answering.clearStorage();
    this.#attachments.clear();
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  jumpToMessage(room, seq) {
    const { navigation } = this.#userActions;
    if (!this.#panes.get(room)) navigation.peekRoom(room, undefined, false);
    if (this.#panes.get(room)) this.#userActions.jumpToMessage(room, seq);
  }

  /** Once a second: update the countdown, and check whether the day or the time zone changed. */
  tick() {
    if (followZone()) {
      for (const pane of this.#panes.all) pane.list.updateZone();
      this.namesChanged(); // times beside names too
    }
    if (this.#day !== today()) for (const pane of this.#panes.all) pane.list.updateDays();
    this.#day = today();
    this.unsent.tick();
    this.#connectionStatus.tick();
    this.#connectionBar.tick();
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connectionChanged(state, retryAt) {
    if (state === "signed out") this.#hideRooms();
    this.#notifier.loaded?.connectionChanged(state);
    if (state === "open") {
      this.#unhideRooms();
      this.unsent.connected();
      this.#readTracker.connected();
      this.#userActions.navigation.connected();
      this.#panes.loadArrangement();
      this.#userActions.answering.connected();
      this.#attachments.trays.loaded?.connected();
      if (this.#config.workspaces.list[0] || this.#sets.loaded)
        this.#useSets((sets) => sets.connected());
    }
    this.#userActions.carrying.loaded?.connectionChanged(state === "open");
    this.#connectionStatus.showState(state, retryAt);
    this.#connectionBar.showState(state, retryAt);
  }

  /** Another user has signed in in this browser. */
  userReplaced() {
    this.#attachments.trays.loaded?.stop();
    this.#connectionStatus.showUserReplaced();
  }

  /** The user is signed out, and another person may look: show nothing of the rooms. Unsent messages stay. */
  #hideRooms() {
    this.#showRooms(false);
    this.#search.loaded?.close();
    this.#around.clear();
    this.#announcer.clear();
    this.#userActions.closeOverlays();
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
    for (const name of ["panes", "nav", "find", "mentions", "workspaces", "sign-out", "all"])
      part(document, name).hidden = !areShown;
    this.#alertLine.setHidden(!areShown);
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
      actions: this.#userActions.actionsFor(room.id),
    });
    if (!this.#list.hasRoom(room.id)) this.#list.addRoom(room);
    this.#panes.addPane(pane);
    this.#attachments.paneOpened(pane);
    this.unsent.showUnsent(room.id);
    pane.showAlerts(this.#alerts.alertsOf(room.id));
    pane.addEventListener("focusin", (event) => {
      const from = /** @type {Node | null} */ (event.relatedTarget);
      if (!pane.contains(from)) this.#readTracker.paneFocused(room.id);
    });
    this.#readTracker.paneOpened(pane);
    if (!isByUser) return;
    this.#panes.scrollToPane(room.id);
    pane.composer.focus();
  }

  /**
   * @param {Room} room
   * @param {string} [reason] a code, when the server closed it
   */
  paneClosed(room, reason) {
    const pane = this.#panes.get(room.id);
    const hadFocus = pane?.contains(document.activeElement) === true;
    this.#panes.removePane(room.id);
    if (hadFocus) focusNothing();
    this.unsent.closeDraft(room.id);
    if (reason === undefined) return this.unsent.showUnsent(room.id);
    this.#alerts.forgetRoom(room.id);
    this.#list.removeRoom(room.id);
    this.#search.loaded?.removeRoom(room.id);
    this.#notifier.loaded?.removeRoom(room.id);
    this.#userActions.forgetRooms();
    this.unsent.roomClosed(room, reason);
    this.#readTracker.setRooms(this.#list.order);
    this.#userActions.navigation.roomClosed(room.id);
  }

  /** The panes that the address names are open. */
  layoutRestored() {
    this.#userActions.navigation.layoutRestored();
  }

  /** @param {string} room @param {Posted[]} alerts as the server has them */
  alertsReceived(room, alerts) {
    this.#alerts.mergeAlerts(room, alerts);
    this.#userActions.answering.loaded?.roomJoined(room); // a join frame brought them
  }

  /** @param {string} room */
  logCleared(room) {
    this.#panes.get(room)?.clearLog();
    this.#userActions.answering.loaded?.logCleared(room);
    if (this.unsent.logReset(room)) focusNothing();
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
    const pane = this.#panes.get(room);
    const isFromOthers = isNew && !isOwn(message, this.#config.user);
    pane?.showMessage(message, isFromOthers);
    if (pane && isFromOthers) this.#readTracker.messageArrived(pane);
    this.#alerts.applyMessages(room, [message], isNew);
    if (isNew && isFromHere && !message.deleted) pane?.offerUndo(message, UNDO_MS);
    if (isFromOthers) this.#announce(room, message);
    this.#userActions.carrying.loaded?.quotes.messageChanged(room, message.seq);
  }

  /** A message has other reactions, was confirmed or is over: its text stays. @param {string} room @param {Message} message */
  answersChanged(room, message) {
    this.#panes.get(room)?.list.updateAnswers(message);
    this.#alerts.applyMessages(room, [message], false);
  }

  /** @param {QuotedFrame} frame */
  quotesReceived(frame) {
    this.#userActions.carrying.loaded?.quotes.quotesReceived(frame);
    this.#userActions.answering.loaded?.quotesReceived(frame);
  }

  /** @param {CopiesFrame} frame */
  copiesReceived(frame) {
    this.#userActions.carrying.loaded?.copies.copiesReceived(frame);
  }

  /** @param {ErrorFrame} frame */
  questionRefused(frame) {
    this.#userActions.carrying.loaded?.refused(frame);
    if (frame.command === "quote") this.#userActions.answering.loaded?.questionRefused(frame);
  }

  /** @param {string} room @param {Event} event */
  eventApplied(room, event) {
    this.#userActions.answering.loaded?.eventApplied(room, event);
    this.#search.loaded?.eventApplied(room, event);
    // The message may be edited here while the pane shows another part of the log.
    /** @type {{edited?: number, deleted?: number | boolean, message?: string | null, seq: number}} */
    const { edited, deleted, message: text = null } = event;
    const seq = edited ?? deleted;
    if (typeof seq === "number")
      this.#panes.get(room)?.composer.messageChanged({ seq, text, deleted: Boolean(deleted) });
  }

  /** Only the pane being read is announced, apart from alerts and mentions: other panes would drown it. @param {string} room @param {Message} message */
  #announce(room, message) {
    const { text, type } = message;
    if (text === null) return;
    const isForReader = isForMe(message, this.#config.user);
    if (room !== this.#panes.seen && !isForReader && type !== ALERT) return;
    const title = this.workspace.rooms.get(room)?.title ?? "";
    this.#announcer.announce(senderWords(message), title, text);
  }

  namesChanged() {
    for (const pane of this.#panes.all) pane.updateNames();
    updateNames(document);
  }

  /** @param {number} count of other users */
  aroundChanged(count) {
    this.#around.show(count);
  }

  /** @param {Appearance} appearance */
  appearanceChanged(appearance) {
    const logs = [...this.#panes.all].map(({ list }) => list);
    // If it can't be loaded, the next page that is opened has it.
    import("lazy/appearance").then(
      ({ showAppearance }) => showAppearance(appearance, logs, followClock),
      () => {},
    );
  }

  /** What is known of an open room has changed. @param {Room} room */
  roomChanged(room) {
    this.#panes.get(room.id)?.showRoom(room);
    this.#panes.showLayout();
  }

  /** @param {Room[]} rooms @param {Room[]} removed */
  roomsChanged(rooms, removed) {
    for (const { id } of removed) {
      this.#list.removeRoom(id);
      this.#search.loaded?.removeRoom(id);
      this.#notifier.loaded?.removeRoom(id);
    }
    if (removed.length) this.#userActions.forgetRooms();
    this.#userActions.carrying.loaded?.roomsChanged();
    this.#list.updateRooms(rooms);
    for (const room of rooms) this.#panes.get(room.id)?.showRoom(room);
    this.#panes.showLayout();
    this.#showOpenRooms();
    this.#readTracker.setRooms(this.#list.order);
    this.unsent.showOrphans();
  }

  /** @param {HeadsFrame["heads"]} heads */
  headsReceived(heads) {
    this.#readTracker.headsReceived(heads);
    this.#userActions.carrying.loaded?.quotes.headsReceived(heads);
    this.#notifier.loaded?.headsReceived(heads);
    this.#alerts.applyHeads(heads);
  }

  /** @param {Record<string, number>} versions */
  setsReceived(versions) {
    this.#useSets((sets) => sets.versionsReceived(versions));
  }

  /** @param {(sets: PaneSets) => void} use */
  #useSets(use) {
    this.#sets.load().then(use, () => {}); // tried again next time
  }

  /** @param {NotifyFrame} frame */
  notified(frame) {
    this.#notifier.loaded?.notified(frame);
  }

  /**
   * @param {string} room
   * @param {Signal} signal
   */
  signalReceived(room, signal) {
    this.#panes.get(room)?.list.showSignal(signal);
  }

  /** @param {string} room @param {number} floor */
  messagesExpired(room, floor) {
    this.#panes.get(room)?.list.removeBefore(floor);
    this.#search.loaded?.removeBefore(room, floor);
  }

  /** @param {string} room @param {string} username */
  typingReceived(room, username) {
    if (this.#preferences.get("showsTyping")) this.#panes.get(room)?.showTyping(username);
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
    const { error, retry_after } = frame;
    if (error === "USER_HAS_TO_LOGIN") return; // ConnectionStatus says it when the connection closes
    const sentence = refusedSentence(frame);
    const pane = this.#panes.get(room ?? "");
    if (pane) pane.showTrouble(sentence, isSoon(frame) ? retry_after : undefined);
    else this.#notices.show(sentence);
  }

  /** Sorting the list is slow, so do it once for all panes that are opened together. @param {() => void} updateOverflow */
  #showOpenRoomsSoon(updateOverflow) {
    if (this.#isUpdateDue) return;
    this.#isUpdateDue = true;
    queueMicrotask(() => {
      this.#isUpdateDue = false;
      this.#showOpenRooms();
      requestAnimationFrame(updateOverflow);
    });
  }

  /** After an upgrade the page is older than the server. Say so once for each version. @param {string} version */
  versionReceived(version) {
    const isKnown = version === this.#serverVersion;
    this.#serverVersion = version;
    const choices = [{ label: gettext("Reload"), act: () => location.reload(), stays: true }];
    if (isKnown || version === this.#config.version) return;
    this.#notices.show(NEW_VERSION, { choices, dismiss: gettext("Later") });
  }

  #showOpenRooms() {
    const { layout, seen } = this.#panes;
    this.#list.showOpenRooms(layout.order, seen);
    part(document, "none-open").hidden = layout.order.length > 0 || part(document, "panes").hidden;
  }
}
