import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Outbox } from "../../static/chat/model/outbox.js";
import { Workspace } from "../../static/chat/model/workspace.js";

const ROOMS = ["1", "2", "3"].map((id) => ({ id, title: `Room ${id}`, staff_only: false }));
const NAMES = [
  "paneOpened",
  "paneClosed",
  "logCleared",
  "alertsReceived",
  "pageReceived",
  "messageChanged",
  "answersChanged",
  "presenceChanged",
  "signalReceived",
  "roomsChanged",
  "headsReceived",
  "commandRefused",
  "versionReceived",
  "connectionChanged",
];

let sent;
let seen;
let line;
let outbox;
let workspace;
let epochs;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  sent = [];
  seen = [];
  line = { isOpen: true };
  const send = (command) => line.isOpen && sent.push(command) > 0;
  const setItem = () => {
    throw new Error("full");
  };
  const store = { length: 0, key: () => null, getItem: () => null, setItem, removeItem() {} };
  outbox = new Outbox(7, { store, send });
  const view = Object.fromEntries(
    NAMES.map((name) => [name, (...args) => seen.push([name, ...args])]),
  );
  epochs = new Map();
  workspace = new Workspace(ROOMS, { send, outbox, view, epochs });
  workspace.connectionChanged("open", 0);
  sent.length = 0;
});

const receive = (kind, frame) => workspace.frameReceived({ kind, frame });
const join = (room, head, more = {}) =>
  receive("join", { join: room, title: `Room ${room}`, head, floor: 1, epoch: "k3", ...more });
const post = (room, seq, more = {}) =>
  receive("event", {
    room,
    username: "bob",
    message: `text ${seq}`,
    msg_type: 0,
    seq,
    at: "2026-11-21T10:00:00Z",
    ...more,
  });
const page = (room, events, as_of, more = false, newer = false) =>
  receive("history", { history: room, events, as_of, more, newer });
const messages = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, at) => ({
    room: "1",
    username: "bob",
    message: `text ${first + at}`,
    msg_type: 0,
    seq: first + at,
    at: "2026-11-21T10:00:00Z",
  }));
const happened = (name) => seen.filter(([what]) => what === name);
const commands = () => sent.splice(0);

function open(id, head = 0) {
  workspace.openPane(ROOMS[Number(id) - 1], true);
  join(id, head);
  page(id, [], head);
  commands();
}

function reconnect() {
  line.isOpen = false;
  workspace.connectionChanged("waiting", 0);
  line.isOpen = true;
  workspace.connectionChanged("open", 0);
}

test("a pane that is opened joins, then asks for the newest page", () => {
  workspace.openPane(ROOMS[0], true);
  join("1", 420);
  assert.deepEqual(commands(), [
    { command: "join", room: "1" },
    { command: "history", room: "1" },
  ]);
});

test("opening a room twice joins it once", () => {
  workspace.openPane(ROOMS[0], true);
  workspace.openPane(ROOMS[0], true);
  assert.equal(commands().length, 1);
});

test("after a reconnect, all rooms are resumed with one frame", () => {
  open("1", 5);
  open("3", 9);
  post("1", 6);
  reconnect();
  const rooms = { 1: { since: 6, epoch: "k3" }, 3: { since: 9, epoch: "k3" } };
  assert.deepEqual(commands(), [{ command: "resume", rooms }]);
});

test("a pane opened while offline is joined after the reconnect", () => {
  line.isOpen = false;
  workspace.connectionChanged("waiting", 0);
  workspace.openPane(ROOMS[1], true);
  line.isOpen = true;
  workspace.connectionChanged("open", 0);
  assert.deepEqual(commands(), [{ command: "join", room: "2" }]);
});

test("an event that leaves a text as it is does not show the message anew", () => {
  open("1", 5);
  post("1", 6, { msg_type: 2 });
  const event = (seq, kind) => receive("event", { room: "1", username: "bob", seq, ...kind });
  event(7, { reacted: 6, emoji: "👍", on: true });
  event(8, { confirmed: 6 });
  event(9, { resolved: 6, at: "2026-11-21T10:00:00Z" });
  event(10, { edited: 6, message: "better" });
  const seqs = (name) => happened(name).map(([, , { seq, asOf }]) => [seq, asOf]);
  assert.deepEqual(seqs("answersChanged"), Array(3).fill([6, 10]));
  assert.deepEqual(seqs("messageChanged"), Array(2).fill([6, 10]));
});

test("a resumed room needs no new page and shows no message twice", () => {
  open("1", 5);
  post("1", 6);
  reconnect();
  commands();
  join("1", 7);
  post("1", 6);
  post("1", 7);
  assert.deepEqual(commands(), []);
  assert.deepEqual(
    happened("messageChanged").map(([, , { seq }]) => seq),
    [6, 7],
  );
});

test("a first page lost with the connection is requested again", () => {
  workspace.openPane(ROOMS[0], true);
  join("1", 5);
  reconnect();
  commands();
  join("1", 5);
  assert.deepEqual(commands(), [{ command: "history", room: "1" }]);
});

test("an older page lost with the connection is requested again by a pane at the edge", () => {
  workspace.openPane(ROOMS[0], true);
  join("1", 100);
  page("1", messages(51, 100), 100, true);
  workspace.requestHistory("1", "older");
  reconnect();
  commands();
  seen.length = 0;
  join("1", 100);
  const [[, room, none, edges]] = happened("pageReceived");
  assert.deepEqual([room, none, edges.hasOlder], ["1", [], true]);
  workspace.requestHistory("1", "older"); // as a pane at the top of its log does
  assert.deepEqual(commands(), [{ command: "history", room: "1", before: 51 }]);
});

test("a room that was reset starts over", () => {
  open("1", 50);
  reconnect();
  commands();
  join("1", 3, { reset: true, epoch: "new" });
  assert.deepEqual(happened("logCleared").at(-1), ["logCleared", "1"]);
  assert.deepEqual(commands(), [{ command: "history", room: "1" }]);
});

test("a gap is healed once, from the last applied event", () => {
  open("1", 5);
  post("1", 8);
  post("1", 9);
  assert.deepEqual(commands(), [{ command: "resume", rooms: { 1: { since: 5, epoch: "k3" } } }]);
  join("1", 9);
  for (const seq of [6, 7, 8, 9]) post("1", seq);
  assert.deepEqual(
    happened("messageChanged").map(([, , { seq }]) => seq),
    [6, 7, 8, 9],
  );
});

test("frames of a closed pane do not reach a pane opened after it", () => {
  open("1", 5);
  workspace.closePane("1");
  workspace.openPane(ROOMS[0], true);
  post("1", 6);
  receive("leave", { leave: "1" });
  assert.deepEqual(workspace.openRooms, ["1"]);
  join("1", 6);
  post("1", 7);
  assert.deepEqual(
    happened("messageChanged").map(([, , { seq }]) => seq),
    [7],
  );
});

test("a pane that the server closes is closed with the server's reason", () => {
  open("1");
  receive("leave", { leave: "1", reason: "ROOM_ACCESS_DENIED" });
  assert.deepEqual(happened("paneClosed"), [["paneClosed", ROOMS[0], "ROOM_ACCESS_DENIED"]]);
  assert.deepEqual(workspace.openRooms, []);
  post("1", 1);
  assert.deepEqual(happened("messageChanged"), []);
});

test("a pane that the server opens by itself is shown", () => {
  join("9", 4, { staff_only: true });
  const room = { id: "9", title: "Room 9", staff_only: true };
  assert.deepEqual(happened("paneOpened"), [["paneOpened", room, false]]);
});

test("a refused join closes the pane with the error code", () => {
  workspace.openPane(ROOMS[0], true);
  receive("error", { error: "ROOM_ACCESS_DENIED", command: "join", room: "1" });
  assert.deepEqual(happened("paneClosed"), [["paneClosed", ROOMS[0], "ROOM_ACCESS_DENIED"]]);
});

test("a join that has to wait is retried", () => {
  workspace.openPane(ROOMS[0], true);
  commands();
  receive("error", { error: "SERVER_UNAVAILABLE", command: "join", room: "1", retry_after: 2 });
  mock.timers.tick(2100);
  assert.deepEqual(commands(), [{ command: "join", room: "1" }]);
});

test("a message is settled by its ack and its event, in either order", () => {
  for (const isAckFirst of [true, false]) {
    open("1");
    outbox.add("1", "hi");
    const [{ client_id }] = commands();
    const ack = () => receive("ack", { ack: client_id, room: "1", seq: 1 });
    const event = () => post("1", 1, { client_id });
    if (isAckFirst) ack();
    event();
    if (!isAckFirst) ack();
    assert.deepEqual(outbox.entriesOf("1"), []);
    workspace.closePane("1");
    receive("leave", { leave: "1" });
    commands();
  }
});

test("a message sent before a disconnect is sent again after the resume", () => {
  open("1");
  outbox.add("1", "hi");
  const [first] = commands();
  reconnect();
  assert.deepEqual(
    commands().map(({ command }) => command),
    ["resume"],
  );
  join("1", 0);
  assert.deepEqual(commands(), [first]);
});

test("pages of history are requested one at a time, until there are no more", () => {
  workspace.openPane(ROOMS[0], true);
  join("1", 100);
  commands();
  workspace.requestHistory("1", "older");
  assert.deepEqual(commands(), []);
  const event = {
    room: "1",
    username: "bob",
    message: "hi",
    msg_type: 0,
    seq: 51,
    at: "2026-11-21T10:00:00Z",
  };
  page("1", [event], 100, true);
  workspace.requestHistory("1", "older");
  assert.deepEqual(commands(), [{ command: "history", room: "1", before: 51 }]);
  page("1", [], 100);
  workspace.requestHistory("1", "older");
  assert.deepEqual(commands(), []);
});

test("a jump waits for the join and for a requested page, and survives a disconnect", () => {
  const arrived = mock.fn();
  workspace.openPane(ROOMS[0], true);
  workspace.jump("1", { around: 40 }, arrived);
  commands();
  join("1", 100);
  assert.deepEqual(commands(), [{ command: "history", room: "1", around: 40 }]);
  reconnect();
  commands();
  join("1", 100);
  assert.deepEqual(commands(), [{ command: "history", room: "1", around: 40 }]);
  page("1", messages(20, 60), 100, true, true);
  assert.equal(arrived.mock.calls[0].arguments[0].length, 41);
  assert.deepEqual(happened("logCleared").length, 2);
  workspace.requestHistory("1", "newer");
  workspace.jump("1", {}, arrived);
  assert.deepEqual(commands(), [{ command: "history", room: "1", after: 60 }]);
  page("1", messages(61, 90), 100, true, true);
  assert.deepEqual(commands(), [{ command: "history", room: "1" }]);
  page("1", messages(51, 100), 100, true);
  assert.equal(arrived.mock.callCount(), 2);
  assert.equal(happened("pageReceived").at(-1)[3].hasNewer, false);
});

test("a page that has to wait is requested again, and a refused page does not block the next", () => {
  const arrived = mock.fn();
  open("1", 100);
  workspace.jump("1", { around: 40 }, arrived);
  const [asked] = commands();
  const error = (code) => receive("error", { error: code, command: "history", room: "1" });
  error("RATE_LIMITED");
  mock.timers.tick(2100);
  assert.deepEqual(commands(), [asked]);
  error("COMMAND_INVALID");
  workspace.jump("1", {}, arrived);
  assert.deepEqual(commands(), [{ command: "history", room: "1" }]);
});

test("presence reaches an open pane, and no closed pane", () => {
  workspace.openPane(ROOMS[0], true);
  join("1", 0);
  receive("present", { room: "1", present: ["alice", "bob"] });
  receive("present", { room: "1", present: { bob: false } });
  receive("present", { room: "2", present: ["charlie"] });
  assert.deepEqual(happened("presenceChanged"), [
    ["presenceChanged", "1", ["alice", "bob"]],
    ["presenceChanged", "1", { bob: false }],
  ]);
});

test("the view gets the version of the server's files if the server has one", () => {
  seen.length = 0;
  receive("pong", { pong: true });
  assert.deepEqual(seen, []);
  receive("pong", { pong: true, version: "c26f9c6a7f1e" });
  assert.deepEqual(seen, [["versionReceived", "c26f9c6a7f1e"]]);
});

test("a refused leave does not block the room's frames, and is sent again", () => {
  open("1");
  workspace.closePane("1");
  assert.deepEqual(commands(), [{ command: "leave", room: "1" }]);
  const refused = { error: "RATE_LIMITED", command: "leave", room: "1", retry_after: 3 };
  receive("error", refused);
  assert.deepEqual(happened("commandRefused"), []);
  mock.timers.tick(2999);
  assert.deepEqual(commands(), []);
  mock.timers.tick(1);
  assert.deepEqual(commands(), [{ command: "leave", room: "1" }]);
  // The room was opened again before the refusal arrived, so the frames that follow are for the new pane.
  workspace.openPane(ROOMS[0], true);
  receive("error", refused);
  join("1", 4);
  post("1", 5);
  assert.deepEqual(
    happened("messageChanged").map(([, room, message]) => [room, message.seq]),
    [["1", 5]],
  );
  commands();
  mock.timers.tick(3000);
  assert.deepEqual(commands(), []);
});

test("a page with the maximum of panes opens and joins no more rooms", () => {
  workspace = new Workspace(ROOMS, {
    send: (command) => sent.push(command) > 0,
    outbox,
    view: Object.fromEntries(NAMES.map((name) => [name, (...args) => seen.push([name, ...args])])),
    maxPanes: 2,
  });
  for (const room of ROOMS) workspace.openPane(room, true);
  assert.deepEqual(workspace.openRooms, ["1", "2"]);
  assert.equal(commands().filter(({ command }) => command === "join").length, 2);
  const [[, room, { error, detail, command }]] = happened("commandRefused");
  assert.deepEqual([room, error, command], [null, "RATE_LIMITED", undefined]);
  assert.match(detail, /2 rooms open at most/);
  workspace.closePane("1");
  workspace.openPane(ROOMS[2], true);
  assert.deepEqual(workspace.openRooms, ["2", "3"]);
});

test("after a disconnect, open rooms are resumed first, and a join above the limit is not retried", () => {
  open("1");
  workspace.openPane(ROOMS[1], true);
  commands();
  const full = { error: "RATE_LIMITED", command: "join", room: "2", retry_after: 60 };
  receive("error", { ...full, detail: "A page holds at most 1 rooms." });
  assert.equal(happened("commandRefused").length, 1);
  mock.timers.tick(600_000);
  assert.deepEqual(commands(), []);
  workspace.connectionChanged("waiting", 0);
  workspace.connectionChanged("open", 0);
  assert.deepEqual(
    commands().map(({ command }) => command),
    ["resume", "join"],
  );
});

test("a jump that waits for the connection is dropped when the reader scrolls", () => {
  open("1", 0);
  assert.equal(
    workspace.jump("1", {}, () => {}),
    false,
  );
  assert.equal(workspace.cancelWaitingJump("1"), false); // a requested page is not cancelled by inertial scrolling
  page("1", [], 0);
  line.isOpen = false;
  workspace.connectionChanged("waiting", 0);
  assert.equal(
    workspace.jump("1", { around: 3 }, () => seen.push(["arrived"])),
    true,
  );
  assert.equal(workspace.cancelWaitingJump("1"), true);
  assert.equal(workspace.cancelWaitingJump("1"), false);
  line.isOpen = true;
  commands();
  workspace.connectionChanged("open", 0);
  join("1", 0);
  assert.deepEqual(
    commands().map(({ command }) => command),
    ["resume"],
  );
});

test("a signed-out page forgets its messages, and starts over when its user returns", () => {
  open("1", 3);
  seen.length = 0;
  workspace.connectionChanged("signed out", 0);
  assert.deepEqual(happened("logCleared"), [["logCleared", "1"]]);
  workspace.connectionChanged("open", 0);
  assert.deepEqual(commands(), [{ command: "join", room: "1" }]);
  join("1", 3);
  assert.deepEqual(commands(), [{ command: "history", room: "1" }]);
});

test("the view gets the alerts of a room when it is joined", () => {
  const alerts = [{ room: "1", username: "", message: "disk full", msg_type: 2, seq: 1, at: "x" }];
  workspace.openPane(ROOMS[0], true);
  join("1", 80, { alerts });
  join("1", 80);
  assert.deepEqual(
    happened("alertsReceived").map(([, room, alerts]) => [room, alerts]),
    [
      ["1", alerts],
      ["1", []],
    ],
  );
});

test("a temporarily refused change of the layout is sent again", () => {
  const change = { put: [{ room: "3" }], close: [] };
  assert.equal(workspace.changeLayout(change), true);
  receive("error", { error: "SERVER_UNAVAILABLE", command: "layout", retry_after: 1 });
  commands();
  mock.timers.tick(1000);
  assert.deepEqual(commands(), [{ command: "layout", ...change }]);
  line.isOpen = false;
  assert.equal(workspace.changeLayout(change), false);
});

test("an edit and a delete name the log of the open room, and of a closed room only what the change says", () => {
  const outcome = { done() {}, failed() {} };
  const change = (more) => workspace.changeMessage({ room: "1", seq: 3, ...more }, outcome);
  const named = () => commands().map(({ command, epoch }) => [command, epoch]);
  workspace.openPane(ROOMS[0], true);
  join("1", 5);
  commands();
  change({ command: "edit", message: "better" });
  change({ command: "delete" });
  change({ command: "delete", epoch: "k2" });
  assert.deepEqual(named(), [
    ["edit", "k3"],
    ["delete", "k3"],
    ["delete", "k2"],
  ]);
  join("1", 1, { reset: true, epoch: "k4" });
  commands();
  change({ command: "edit", message: "better" });
  assert.deepEqual(named(), [["edit", "k4"]]);
  workspace.closePane("1");
  commands();
  change({ command: "delete" });
  assert.deepEqual(named(), [["delete", undefined]]);
});

test("a direct room without other people is titled by the page, in its language", () => {
  const room = { id: "6", title: "Gelöschte Person", kind: "direct", staff_only: false };
  receive("rooms", { rooms: [...ROOMS, { ...room, people: [] }] });
  assert.equal(workspace.rooms.get("6").title, "Deleted user");
  join("6", 1, { title: room.title, kind: "direct" });
  assert.equal(workspace.rooms.get("6").title, "Deleted user");
});
