import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { countsWords, unreadWords } from "../../static/chat/model/strings.js";
import { Unread } from "../../static/chat/model/unread.js";

const head = (head, read, unread = head - read, mentions = 0) => ({ head, read, unread, mentions });

let sent;
let line;
let moved;
let unread;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  sent = [];
  moved = [];
  line = { isOpen: true };
  unread = new Unread((command) => line.isOpen && sent.push(command) > 0);
  unread.onmoved = (room, read) => moved.push([room, read]);
  unread.applyHeads({ 1: head(20, 10), 2: head(5, 5, 0), 3: head(9, 2, 3, 1) });
  moved.length = 0;
});

const commands = () => sent.splice(0);

test("a read position is sent once, a moment later, and only forward", () => {
  for (const seq of [12, 14, 13]) unread.markSeen("1", seq);
  assert.deepEqual(commands(), []);
  mock.timers.tick(500);
  assert.deepEqual(commands(), [{ command: "read", room: "1", seq: 14 }]);
});

test("counts from before a read position do not move it back", () => {
  unread.markSeen("1", 20);
  unread.applyHeads({ 1: head(21, 10) });
  assert.equal(unread.readOf("1"), 20);
  assert.deepEqual(moved, []);
  unread.applyHeads({ 1: head(21, 20) });
  assert.equal(unread.countsOf("1").unread, 1);
});

test("a room read here has no unread count before the server confirms it", () => {
  unread.markSeen("1", 20);
  assert.equal(unread.countsOf("1").unread, 0);
  assert.deepEqual(unread.total, { unread: 3, mentions: 1 });
});

test("another device moves the read position, forward and back", () => {
  unread.applyHeads({ 1: head(20, 18) });
  unread.applyHeads({ 1: head(20, 5) });
  assert.deepEqual(moved, [
    ["1", 18],
    ["1", 5],
  ]);
  unread.markSeen("1", 20); // marked as unread elsewhere, so seeing it does not mark it as read
  assert.equal(unread.readOf("1"), 5);
  unread.releaseHold("1");
  unread.markSeen("1", 20);
  assert.equal(unread.readOf("1"), 20);
});

test("a message marked as unread stays so until the user comes back to the room", () => {
  unread.markSeen("1", 20);
  unread.markUnread("1", 15);
  assert.deepEqual(commands(), [{ command: "read", room: "1", seq: 14, back: true }]);
  unread.markSeen("1", 20);
  mock.timers.tick(500);
  assert.deepEqual(commands(), []);
  unread.markRead("1");
  mock.timers.tick(500);
  assert.deepEqual(commands(), [{ command: "read", room: "1", seq: 20 }]);
});

test("a mark of another device ends when the user does something in the room", () => {
  unread.applyHeads({ 1: head(20, 18) });
  unread.applyHeads({ 1: head(20, 5) });
  unread.markSeen("1", 20);
  assert.equal(unread.readOf("1"), 5);
  assert.equal(unread.releaseRemoteHold("1"), true);
  unread.markSeen("1", 20);
  assert.equal(unread.readOf("1"), 20);
  assert.equal(unread.releaseRemoteHold("1"), false);
});

test("a mark of this device stays whatever the user does in the room, until it is read elsewhere", () => {
  unread.markSeen("1", 20);
  unread.markUnread("1", 15);
  // The server counted before the mark arrived.
  unread.applyHeads({ 1: head(20, 20) });
  unread.applyHeads({ 1: head(20, 14) });
  assert.equal(unread.releaseRemoteHold("1"), false);
  unread.markSeen("1", 20);
  assert.equal(unread.readOf("1"), 14);
  unread.applyHeads({ 1: head(20, 20) });
  unread.applyHeads({ 1: head(21, 20) });
  unread.markSeen("1", 21);
  assert.equal(unread.readOf("1"), 21);
});

test("removed rooms leave the counts, and the view is notified", () => {
  let shown = 0;
  unread.onchange = () => {
    shown += 1;
  };
  unread.setRooms(["1", "2"]);
  assert.deepEqual([unread.total, shown], [{ unread: 10, mentions: 0 }, 1]);
});

test("a read position from while the connection was down is sent after the reconnect", () => {
  line.isOpen = false;
  unread.markSeen("1", 20);
  mock.timers.tick(500);
  line.isOpen = true;
  unread.connected();
  assert.deepEqual(commands(), [{ command: "watch" }, { command: "read", room: "1", seq: 20 }]);
});

test("a read position names the log in which it was read, and is none in another one", () => {
  let epoch = "before";
  unread.epochOf = () => epoch;
  line.isOpen = false;
  unread.markSeen("1", 18);
  mock.timers.tick(500);
  line.isOpen = true;
  unread.connected();
  const read = { command: "read", room: "1", seq: 18, epoch: "before" };
  assert.deepEqual(commands(), [{ command: "watch" }, read]);
  // The room is open, and its log was replaced by a shorter one: what the server says holds.
  epoch = "after";
  unread.applyHeads({ 1: head(12, 3) });
  assert.equal(unread.readOf("1"), 3);
  unread.markSeen("1", 12);
  mock.timers.tick(500);
  unread.markUnread("1", 5);
  assert.deepEqual(commands(), [
    { command: "read", room: "1", seq: 12, epoch: "after" },
    { command: "read", back: true, room: "1", seq: 4, epoch: "after" },
  ]);
});

test("a lost read position is sent again after the next reconnect", () => {
  unread.markSeen("1", 20);
  mock.timers.tick(500);
  commands();
  unread.connected();
  assert.deepEqual(commands().at(-1), { command: "read", room: "1", seq: 20 });
});

test("the next unread room is found going round, in both directions", () => {
  const order = ["3", "2", "1"];
  assert.equal(unread.nextUnread(order, null, 1), "3");
  assert.equal(unread.nextUnread(order, "3", 1), "1");
  assert.equal(unread.nextUnread(order, "1", 1), "3");
  assert.equal(unread.nextUnread(order, "2", -1), "3");
  assert.equal(unread.nextUnread(order, null, -1), "1");
  unread.setRooms(["1"]);
  assert.equal(unread.nextUnread(order, "1", 1), null);
});

test("mentions are counted separately, also in words", () => {
  assert.equal(countsWords({ unread: 0, mentions: 0 }), "");
  assert.equal(countsWords({ unread: 3, mentions: 0 }), "3");
  assert.equal(countsWords({ unread: 3, mentions: 1 }), "3, @1");
  assert.equal(unreadWords({ unread: 3, mentions: 1 }), "3 unread, 1 for you");
});

test("the view is notified only of rooms whose counts may have changed", () => {
  const changed = [];
  unread.onchange = (rooms) => changed.push(rooms);
  unread.applyHeads({ 3: head(10, 2, 4, 1) });
  unread.markSeen("1", 12);
  assert.deepEqual(changed, [["3"], ["1"]]);
});

const withLevel = (level, ...rest) => ({ ...head(...rest), level });

test("rooms are caught up with in the order alerts, mentions, rest, and a quiet room with an alert is among them", () => {
  unread.applyHeads({
    1: head(120, 10),
    3: head(9, 2, 3, 1),
    4: { ...withLevel("quiet", 6, 5), alerts: [6] },
    5: { ...withLevel("quiet", 8, 8, 0), alerts: [7] },
    6: withLevel("quiet", 8, 5),
  });
  assert.deepEqual(unread.unreadRooms, ["4", "3", "1"]);
});

test("a quiet room counts nowhere, and a room of mentions counts its mentions alone", () => {
  unread.applyHeads({ 1: withLevel("quiet", 20, 10, 10, 4), 3: withLevel("mentions", 9, 2, 3, 1) });
  assert.deepEqual(unread.countedOf("1"), { unread: 0, mentions: 0 });
  assert.deepEqual(unread.countedOf("3"), { unread: 1, mentions: 1 });
  assert.deepEqual(unread.total, { unread: 1, mentions: 1 });
  assert.deepEqual(unread.unreadRooms, ["3"]);
  assert.equal(unread.nextUnread(["1", "2", "3"], null, 1), "3");
  // What is read and where the "New" line stands does not depend on the level.
  assert.equal(unread.countsOf("1").unread, 10);
});

test("a level is shown at once, sent, and sent later when there is no connection", () => {
  unread.setLevel("1", "quiet");
  assert.deepEqual(commands(), [{ command: "level", room: "1", level: "quiet" }]);
  assert.equal(unread.levelOf("1"), "quiet");
  line.isOpen = false;
  unread.setLevel("1", "mentions");
  unread.applyHeads({ 1: withLevel("quiet", 21, 10) });
  assert.equal(unread.levelOf("1"), "mentions");
  line.isOpen = true;
  unread.connected();
  assert.deepEqual(commands(), [
    { command: "watch" },
    { command: "level", room: "1", level: "mentions" },
  ]);
  unread.applyHeads({ 1: withLevel("all", 21, 10) }); // another device came later
  assert.equal(unread.levelOf("1"), "all");
});
