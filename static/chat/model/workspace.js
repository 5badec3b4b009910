/** The open panes: joins, resumes and heals their rooms, and passes on what arrives for them. */

import { Changes } from "./changes.js";
import { gettext } from "./language.js";
import { MentionSearch } from "./mention_search.js";
import { shownNames } from "./names.js";
import { PeopleSearch } from "./people_search.js";
import { isPosted, isSoon, isTransient, isUnreadable, leavesText } from "./protocol.js";
import { RoomLog } from "./room_log.js";
import { fullPageWords } from "./strings.js";

/** @import {Outcome} from "./changes.js" */
/** @import {State} from "./connection.js" */
/** @import {Outbox, Send} from "./outbox.js" */
/** @import {AckFrame, Appearance, Change, Command, CopiesFrame, Cursor, ErrorFrame, Event, HistoryFrame, JoinFrame, LayoutChange, LeaveFrame, HeadsFrame, NotifyFrame, Posted, PresentFrame, QuotedFrame, Received, Room, Signal, TypingFrame, UsersFrame} from "./protocol.js" */
/** @import {HistoryPlace, HistoryRequest, Message} from "./room_log.js" */

/** Whether the server has older or newer messages than the window. A RoomLog has these fields. @typedef {{readonly hasOlder: boolean, readonly hasNewer: boolean}} Edges */

/**
 * The view of the workspace: the page, or a test's view.
 * @typedef {{
 *   paneOpened: (room: Room, isByUser: boolean) => void,
 *   paneClosed: (room: Room, reason?: string) => void,
 *   logCleared: (room: string) => void,
 *   alertsReceived: (room: string, alerts: Posted[]) => void,
 *   pageReceived: (room: string, messages: Message[], edges: Edges) => void,
 *   messageChanged: (room: string, message: Message, isNew: boolean, isFromHere: boolean) => void,
 *   answersChanged?: (room: string, message: Message) => void,
 *   presenceChanged: (room: string, present: PresentFrame["present"]) => void,
 *   signalReceived: (room: string, signal: Signal) => void,
 *   roomChanged: (room: Room) => void,
 *   eventApplied?: (room: string, event: Event) => void,
 *   notified?: (frame: NotifyFrame) => void,
 *   quotesReceived?: (frame: QuotedFrame) => void,
 *   copiesReceived?: (frame: CopiesFrame) => void,
 *   questionRefused?: (frame: ErrorFrame) => void,
 *   typingReceived?: (room: string, username: string) => void,
 *   namesChanged?: () => void,
 *   setsReceived?: (versions: Record<string, number>) => void,
 *   aroundChanged?: (count: number) => void,
 *   appearanceChanged?: (appearance: Appearance) => void,
 *   messagesExpired?: (room: string, floor: number) => void,
 *   roomsChanged: (rooms: Room[], gone: Room[]) => void,
 *   headsReceived: (heads: HeadsFrame["heads"]) => void,
 *   commandRefused: (room: string | null, frame: ErrorFrame) => void,
 *   versionReceived: (version: string) => void,
 *   connectionChanged: (state: State, retryAt: number) => void,
 * }} View
 */

const RETRY_AFTER_S = 2;
/** Refusals of these are not shown: the user did not ask for them, and they are sent again after the next change or reconnect. */
const QUIET = new Set([
  "watch",
  "read",
  "layout",
  "leave",
  "people",
  "typing",
  "mentions",
  "users",
]);
/** The most usernames that the server answers at once. */
const MAX_USERS = 200;

export class Workspace {
  /** @type {Map<string, Room>} */
  rooms;
  /** The logs of the open panes, in the panes' order. @type {Map<string, RoomLog>} */
  #panes = new Map();
  /** Unanswered leaves of each room. Frames of the room before the answer belong to the closed pane. @type {Map<string, number>} */
  #leaving = new Map();
  /** Rooms whose gap is being healed. @type {Set<string>} */
  #healing = new Set();
  #send;
  #outbox;
  #view;
  #changes;
  #peopleSearch;
  #mentionSearch;
  #maxPanes;
  #epochs;
  #me;
  #isOnline = false;
  /** The last change of the layout, sent again if it is refused. @type {LayoutChange | null} */
  #layoutChange = null;

  /**
   * @param {Room[]} rooms
   * @param {{send: Send, outbox: Outbox, view: View, epochs?: Map<string, string>, maxPanes?: number | undefined, me?: number}} options `epochs`: of the known rooms; `maxPanes`: 0 for no limit; `me`: the reader's id
   */
  constructor(rooms, { send, outbox, view, epochs = new Map(), maxPanes = 0, me }) {
    this.rooms = new Map(rooms.map((room) => [room.id, titled(room)]));
    this.#send = send;
    this.#outbox = outbox;
    this.#view = view;
    this.#maxPanes = maxPanes;
    this.#epochs = epochs;
    this.#me = me;
    this.#changes = new Changes(send);
    this.#peopleSearch = new PeopleSearch(send);
    this.#mentionSearch = new MentionSearch(send);
    shownNames.onwanted = () => this.#askNames();
  }

  get isOnline() {
    return this.#isOnline;
  }

  /** Ids of the open panes, in their order. */
  get openRooms() {
    return [...this.#panes.keys()];
  }

  /**
   * Open a pane, unless it is open.
   * @param {Room} room
   * @param {boolean} isByUser
   */
  openPane(room, isByUser) {
    if (this.#panes.has(room.id)) return;
    if (this.#maxPanes && this.#panes.size >= this.#maxPanes) {
      const detail = fullPageWords(this.#maxPanes);
      return this.#view.commandRefused(null, { error: "RATE_LIMITED", detail });
    }
    this.rooms.set(room.id, room);
    this.#panes.set(room.id, new RoomLog(this.#me));
    this.#view.paneOpened(room, isByUser);
    this.#send({ command: "join", room: room.id });
  }

  /**
   * Close a pane. Its unsent messages wait in the outbox.
   * @param {string} id
   */
  closePane(id) {
    if (!this.#panes.has(id)) return;
    this.#leave(id);
    this.#removePane(id);
  }

  /** @param {string} id */
  #leave(id) {
    if (this.#send({ command: "leave", room: id }))
      this.#leaving.set(id, (this.#leaving.get(id) ?? 0) + 1);
  }

  /**
   * Request the page before or after the window, unless a page is requested already or there is none.
   * @param {string} id
   * @param {"older" | "newer"} [way]
   */
  requestHistory(id, way) {
    const log = this.#panes.get(id);
    const page = log?.nextPage(way);
    if (log && page && this.#send({ command: "history", room: id, ...page.place }))
      log.setRequested(page);
  }

  /**
   * Show another part of a room's log as soon as it is loaded.
   * @param {string} id
   * @param {HistoryPlace} place
   * @param {NonNullable<HistoryRequest["arrived"]>} arrived called with the messages after they are shown
   * @returns {boolean} whether the jump has to wait for the connection
   */
  jump(id, place, arrived) {
    const log = this.#panes.get(id);
    if (log === undefined) return false;
    log.pendingJump = { place, arrived };
    this.requestHistory(id);
    return !this.#isOnline;
  }

  /**
   * The reader scrolls: cancel a jump that waits for the connection, because it would interrupt their reading later.
   * @param {string} id
   * @returns {boolean} whether a jump was waiting
   */
  cancelWaitingJump(id) {
    const log = this.#panes.get(id);
    if (!log?.pendingJump || this.#isOnline) return false;
    log.pendingJump = null;
    return true;
  }

  /** Whether a pane waits for the messages that it jumps to. @param {string} id */
  isJumping(id) {
    return Boolean(this.#panes.get(id)?.pendingJump);
  }

  /** Cancel a jump. @param {string} id */
  cancelJump(id) {
    const log = this.#panes.get(id);
    if (log) log.pendingJump = null;
  }

  /** Save the user's change of the layout at the server. @param {LayoutChange} change @returns {boolean} whether it was sent */
  changeLayout(change) {
    this.#layoutChange = change;
    return this.#send({ command: "layout", ...change });
  }

  /**
   * Edit or delete a message, or give it a reaction, in the log that the room has now unless the change names one.
   * @param {Change} change
   * @param {Outcome} outcome
   * @param {string} [clientId] of a change that was sent before
   */
  changeMessage(change, outcome, clientId) {
    // Of a room that is not open, the page may know an earlier log.
    const epoch = this.#panes.has(change.room) ? this.#epochs.get(change.room) : undefined;
    this.#changes.sendChange({ ...(epoch && { epoch }), ...change }, outcome, clientId);
  }

  /** The epoch of the log that a room has now. @param {string} room */
  epochOf(room) {
    return this.#epochs.get(room);
  }

  /** The seq of the last event that was applied. @param {string} room */
  cursorOf(room) {
    return this.#panes.get(room)?.cursor?.since ?? 0;
  }

  /** Ask for quoted messages or copies. The view gets the answer. @param {Command} command */
  ask(command) {
    return this.#isOnline && this.#send(command);
  }

  /** Find the messages that mention the user. @param {number} [before] the `next` of the last page */
  findMentions(before) {
    return this.#mentionSearch.find(before);
  }

  /** Ask for the names that are shown. Offline, they wait for the connection. */
  #askNames() {
    if (!this.#isOnline) return;
    const names = shownNames.takeWanted();
    for (let start = 0; start < names.length; start += MAX_USERS)
      this.#send({ command: "users", names: names.slice(start, start + MAX_USERS) });
  }

  /** @param {UsersFrame} frame */
  #applyNames({ users, reset }) {
    shownNames.learn(users);
    if (reset) shownNames.askAgain();
    this.#view.namesChanged?.();
    // Direct rooms have the names of their people as titles.
    const rooms = [...this.rooms.values()];
    const renamed = rooms.map(titled).filter((room, index) => room !== rooms[index]);
    if (renamed.length === 0) return;
    for (const room of renamed) this.rooms.set(room.id, room);
    this.#view.roomsChanged([...this.rooms.values()], []);
  }

  /** Say to the others in a room that the user is writing. @param {string} room */
  sayTyping(room) {
    if (this.#isOnline) this.#send({ command: "typing", room });
  }

  /** Whether the user may mention all users of a room, after people were found in it. @param {string} room */
  mayCall(room) {
    return this.#peopleSearch.mayCall(room);
  }

  /** Find people who may enter a room. @param {string} room @param {string} prefix of their names */
  findPeople(room, prefix) {
    return this.#peopleSearch.find(room, prefix);
  }

  /**
   * The pane has removed the messages before the first and after the last of these.
   * @param {string} id
   * @param {number} first
   * @param {number} last
   */
  trimTo(id, first, last) {
    this.#panes.get(id)?.trimTo(first, last);
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  connectionChanged(state, retryAt) {
    const wasOnline = this.#isOnline;
    this.#isOnline = state === "open";
    this.#view.connectionChanged(state, retryAt);
    if (wasOnline && !this.#isOnline) this.#connectionLost();
    if (state === "signed out") this.#forgetMessages();
    if (!this.#isOnline) return;
    this.#rejoin(this.openRooms);
    if (!wasOnline) shownNames.askAgain();
  }

  /** @param {Received} received */
  frameReceived({ kind, frame }) {
    if (kind === "join") this.#applyJoin(frame);
    else if (kind === "leave") this.#applyLeave(frame);
    else if (kind === "event") this.#applyEvent(frame);
    else if (kind === "signal") this.#showSignal(frame);
    else if (kind === "present") this.#showPresent(frame);
    else if (kind === "typing") this.#showTyping(frame);
    else if (kind === "floor") this.#raiseFloor(frame.room, frame.floor);
    else if (kind === "quote") this.#view.quotesReceived?.(frame);
    else if (kind === "copies") this.#view.copiesReceived?.(frame);
    else if (kind === "history") this.#applyPage(frame);
    else if (kind === "rooms") this.#setRooms(frame.rooms);
    else if (kind === "heads") this.#view.headsReceived(frame.heads);
    else if (kind === "notify") this.#view.notified?.(frame);
    else if (kind === "mentioned") this.#mentionSearch.answered(frame);
    else if (kind === "people") this.#peopleSearch.answered(frame);
    else if (kind === "users") this.#applyNames(frame);
    else if (kind === "appearance") this.#view.appearanceChanged?.(frame.appearance);
    else if (kind === "workspaces") this.#view.setsReceived?.(frame.workspaces);
    else if (kind === "around") this.#view.aroundChanged?.(frame.around);
    else if (kind === "ack") this.#applyAck(frame);
    else if (kind === "error") this.#applyError(frame);
    else if (kind === "pong" && frame.version) this.#view.versionReceived(frame.version);
  }

  #connectionLost() {
    this.#leaving.clear();
    this.#healing.clear();
    this.#outbox.connectionLost();
    this.#changes.connectionLost();
    this.#peopleSearch.connectionLost();
    this.#mentionSearch.connectionLost();
    for (const log of this.#panes.values()) log.requested = null;
  }

  /** Another person may use the page now, so forget all messages. */
  #forgetMessages() {
    for (const id of this.#panes.keys()) {
      this.#panes.set(id, new RoomLog(this.#me));
      this.#view.logCleared(id);
    }
  }

  /**
   * Resume all rooms that have a cursor with one frame, and join the others.
   * @param {string[]} ids
   */
  #rejoin(ids) {
    /** @type {Record<string, Cursor>} */
    const rooms = {};
    const joins = [];
    for (const id of ids) {
      const cursor = this.#panes.get(id)?.cursor;
      if (cursor) rooms[id] = cursor;
      else if (this.#panes.has(id)) joins.push(id);
    }
    // Resume first, so that rooms which were open stay open if the page's limit is reached.
    if (Object.keys(rooms).length) this.#send({ command: "resume", rooms });
    for (const room of joins) this.#send({ command: "join", room });
  }

  /** @param {string} id @returns {RoomLog | undefined} undefined: no pane is open, or frames belong to a closed pane */
  #logOf(id) {
    return this.#leaving.has(id) ? undefined : this.#panes.get(id);
  }

  /** @param {JoinFrame} frame */
  #applyJoin(frame) {
    const id = frame.join;
    if (this.#leaving.has(id)) return;
    this.#healing.delete(id);
    const known = roomOf(frame);
    this.#epochs.set(id, frame.epoch); // first, so that nothing written for another log is sent or shown
    // The server may open a pane by itself.
    if (!this.#panes.has(id)) {
      this.rooms.set(id, known);
      this.#panes.set(id, new RoomLog(this.#me));
      this.#view.paneOpened(known, false);
    }
    // A title may have changed since the list was sent, and only here does the page learn that a room is archived.
    else if (isOther(known, this.rooms.get(id))) {
      this.rooms.set(id, known);
      this.#view.roomChanged(known);
    }
    const log = /** @type {RoomLog} */ (this.#panes.get(id));
    if (log.applyJoin(frame)) this.#view.logCleared(id);
    else this.#raiseFloor(id, frame.floor);
    this.#view.alertsReceived(id, frame.alerts ?? []);
    if (log.pendingJump || (!log.hasPage && log.hasOlder)) this.requestHistory(id);
    // A pane at an edge requests its page again, because requests from before the disconnect are lost.
    else this.#view.pageReceived(id, [], log);
    this.#outbox.roomJoined(id);
  }

  /** @param {LeaveFrame} frame */
  #applyLeave({ leave: id, reason }) {
    if (this.#leaving.has(id) && reason === undefined) this.#leaveAnswered(id);
    else if (this.#panes.has(id)) this.#removePane(id, reason ?? "ROOM_ACCESS_DENIED");
  }

  /** @param {string} id */
  #leaveAnswered(id) {
    const leaving = this.#leaving.get(id) ?? 0;
    if (leaving > 1) this.#leaving.set(id, leaving - 1);
    else this.#leaving.delete(id);
  }

  /**
   * @param {string} id
   * @param {string} [reason]
   */
  #removePane(id, reason) {
    this.#outbox.roomLeft(id);
    this.#healing.delete(id);
    const room = /** @type {Room} */ (this.rooms.get(id));
    if (reason !== undefined) this.rooms.delete(id);
    this.#panes.delete(id);
    this.#view.paneClosed(room, reason);
  }

  /** @param {Event} event */
  #applyEvent(event) {
    const id = event.room;
    const log = this.#logOf(id);
    if (log === undefined) return;
    const { verdict, message } = log.applyEvent(event);
    if (verdict === "gap") this.#healGap(id);
    const isFromHere = this.#outbox.has(event.client_id);
    // First, so that what waits for the event is not shown beside it.
    if (verdict === "applied") this.#view.eventApplied?.(id, event);
    if (message !== null && leavesText(event)) this.#view.answersChanged?.(id, message);
    else if (message !== null) this.#view.messageChanged(id, message, isPosted(event), isFromHere);
    // Show the message before removing its pending copy, so that it never disappears in between.
    if (verdict !== "gap" && event.client_id !== undefined) this.#outbox.settle(event.client_id);
  }

  /** Events are missing: resume from the last applied event. @param {string} id */
  #healGap(id) {
    if (this.#healing.has(id)) return;
    this.#healing.add(id);
    this.#rejoin([id]);
  }

  /** Apply the list of rooms that the user may enter now. Open panes are closed by a `leave` frame each. @param {Room[]} rooms */
  #setRooms(rooms) {
    const current = new Map(rooms.map((room) => [room.id, room]));
    const removed = [...this.rooms.values()].filter(
      ({ id }) => !current.has(id) && !this.#panes.has(id),
    );
    for (const { id } of removed) this.rooms.delete(id);
    const shown = rooms.map(titled);
    for (const room of shown) this.rooms.set(room.id, room);
    this.#view.roomsChanged(shown, removed);
    for (const room of this.rooms.values()) {
      // An open room that the list leaves out, and that no `leave` frame closes, was archived.
      if (current.has(room.id) || room.archived) continue;
      const archived = { ...room, archived: true };
      this.rooms.set(room.id, archived);
      this.#view.roomChanged(archived);
    }
  }

  /** @param {Signal} signal */
  #showSignal(signal) {
    if (this.#logOf(signal.room)) this.#view.signalReceived(signal.room, signal);
  }

  /** @param {PresentFrame} frame */
  #showPresent({ room, present }) {
    if (this.#logOf(room)) this.#view.presenceChanged(room, present);
  }

  /** @param {TypingFrame} frame */
  #showTyping({ room, typing }) {
    if (this.#logOf(room)) this.#view.typingReceived?.(room, typing);
  }

  /** Messages below the floor have expired. @param {string} id @param {number} floor */
  #raiseFloor(id, floor) {
    if (this.#logOf(id)?.raiseFloor(floor)) this.#view.messagesExpired?.(id, floor);
  }

  /** @param {HistoryFrame} page */
  #applyPage(page) {
    const id = page.history;
    const log = this.#logOf(id);
    if (!log?.requested) return;
    const { messages, isElsewhere, arrived } = log.applyPage(page);
    if (isElsewhere) this.#view.logCleared(id);
    this.#view.pageReceived(id, messages, log);
    arrived?.(messages);
    if (log.pendingJump) this.requestHistory(id);
  }

  /** @param {AckFrame} frame */
  #applyAck({ ack, room, seq }) {
    this.#changes.settle(ack, seq);
    const cursor = this.#logOf(room)?.cursor;
    this.#outbox.settle(ack, cursor !== null && cursor !== undefined && seq > cursor.since);
  }

  /** @param {ErrorFrame} frame */
  #applyError(frame) {
    if (this.#changes.refuse(frame)) return;
    const { command, room } = frame;
    const log = this.#panes.get(room ?? "");
    if (command === "history" && log) {
      log.requested = null;
      if (!isTransient(frame)) log.pendingJump = null;
    }
    if (command === "quote" || command === "copies") return this.#view.questionRefused?.(frame);
    if (command === "mentions") this.#mentionSearch.refused();
    if (command === "users") this.#afterRetryTime(frame, () => shownNames.askAgain());
    if (command === "people") this.#peopleSearch.refused(frame);
    if (command === "leave" && room !== undefined) this.#leaveRefused(room, frame);
    if (command === "layout" && isTransient(frame))
      this.#afterRetryTime(frame, () => this.#resendLayout());
    if (QUIET.has(command ?? "")) return;
    if (command === "send" || frame.client_id !== undefined || isUnreadable(frame))
      this.#outbox.refuse(frame);
    if (command === "send" && frame.client_id !== undefined && !isTransient(frame)) return; // shown at the message
    if (command === "join" && room !== undefined && this.#panes.has(room) && !isTransient(frame)) {
      if (!this.#leaving.has(room)) this.#removePane(room, frame.error);
      return;
    }
    if (isTransient(frame)) this.#retryCommand(frame);
    this.#view.commandRefused(room !== undefined && this.#panes.has(room) ? room : null, frame);
  }

  /** @param {ErrorFrame} frame */
  #retryCommand(frame) {
    const { command, room } = frame;
    if (!isSoon(frame)) return;
    const ids = room === undefined ? this.openRooms : [room];
    const log = this.#panes.get(room ?? "");
    this.#afterRetryTime(frame, () => {
      if (command === "join" || command === "resume")
        this.#rejoin(ids.filter((id) => this.#panes.has(id)));
      if (command !== "history" || room === undefined || this.#panes.get(room) !== log) return;
      if (log) this.#view.pageReceived(room, [], log); // a pane at an edge requests its page again
      this.requestHistory(room);
    });
  }

  /** @param {ErrorFrame} frame @param {() => void} act */
  #afterRetryTime({ retry_after }, act) {
    setTimeout(() => this.#isOnline && act(), (retry_after ?? RETRY_AFTER_S) * 1000);
  }

  /** A leave was refused, so the room is still joined at the server. Frames need not wait for an answer; leave again later. @param {string} id @param {ErrorFrame} frame */
  #leaveRefused(id, frame) {
    this.#leaveAnswered(id);
    this.#afterRetryTime(frame, () => this.#panes.has(id) || this.#leave(id));
  }

  #resendLayout() {
    if (this.#layoutChange) this.changeLayout(this.#layoutChange);
  }
}

/** What a join frame says about its room. @param {JoinFrame} frame @returns {Room} */
function roomOf({ join, title, staff_only, kind, people, topic, archived }) {
  /** @type {Room} */
  const room = { id: join, title, staff_only: staff_only === true };
  if (kind) room.kind = kind;
  if (people) room.people = people;
  if (topic) room.topic = topic;
  if (archived) room.archived = true;
  return titled(room);
}

/** The room as the reader sees it: a direct room is called like its people are shown. @param {Room} room */
function titled(room) {
  if (room.kind !== "direct") return room;
  const people = (room.people ?? []).map((name) => shownNames.of(name));
  const title = people.join(", ") || gettext("Deleted user");
  return title === room.title ? room : { ...room, title };
}

/** @param {Room} room @param {Room | undefined} known */
function isOther(room, known) {
  if (known === undefined) return true;
  const { title, staff_only, topic = "", archived = false } = room;
  const isSame = title === known.title && staff_only === known.staff_only;
  return !isSame || topic !== (known.topic ?? "") || archived !== (known.archived ?? false);
}
