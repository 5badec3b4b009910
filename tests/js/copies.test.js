import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Copies } from "../../static/chat/lazy/copies.js";

const ACROSS = "16fd2706-8baf-433b-82eb-8c7fada847da";

/** A page with an outbox whose entries the test sets. */
function page({ entries = [], open = [] } = {}) {
  const [joined, left, sent, changes, shown] = [[], [], [], [], new Map()];
  const state = { isOnline: true };
  const outbox = {
    copies: entries,
    roomJoined: (room) => joined.push(room),
    roomLeft: (room) => left.push(room),
    discard: (id) => {
      outbox.copies = outbox.copies.filter(({ client_id }) => client_id !== id);
    },
    add: (room, text, options) => sent.push({ room, text, ...options }),
  };
  const copies = new Copies({
    ...{ outbox, me: 7 },
    notices: {
      show: (text, { key } = {}) => shown.set(key, text),
      remove: (key) => shown.delete(key),
    },
    rooms: () => new Map([["2", { title: "Random" }]]),
    isOpen: (room) => open.includes(room),
    isOnline: () => state.isOnline,
    ask: (command) => state.isOnline && Boolean(sent.push(command)),
    change: (change, outcome) => changes.push({ change, outcome }),
  });
  return { copies, outbox, state, joined, left, sent, changes, shown };
}

const entry = (room, more = {}) => ({
  client_id: `id ${room}`,
  room,
  text: "hi",
  across: ACROSS,
  state: "pending",
  ...more,
});

test("copies for rooms that are not open go out in pieces, each after the one before", () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1e12 });
  const rooms = Array.from({ length: 30 }, (_, i) => String(i + 1));
  const { copies, outbox, joined, left } = page({
    entries: rooms.map((room) => entry(room)),
    open: ["1"],
  });
  copies.update();
  assert.deepEqual(joined, rooms.slice(1, 13), "the room with a pane has a lane already");
  copies.update();
  assert.equal(joined.length, 12);
  outbox.copies = outbox.copies.filter(({ room }) => !joined.includes(room));
  copies.update();
  assert.deepEqual(left, rooms.slice(1, 13));
  assert.equal(joined.length, 12, "the next piece has to wait");
  mock.timers.tick(2_000);
  assert.equal(joined.length, 24);
  mock.timers.reset();
});

test("offline nothing is sent, and the connection begins anew", () => {
  const { copies, state, joined } = page({ entries: [entry("2")] });
  state.isOnline = false;
  copies.update();
  assert.deepEqual(joined, []);
  state.isOnline = true;
  copies.update();
  copies.connectionLost();
  copies.update();
  assert.deepEqual(joined, ["2", "2"]);
});

test("a copy that was refused is named until it is gone, or its pane shows it", () => {
  const open = [];
  const { copies, outbox, shown } = page({
    entries: [entry("2", { state: "failed", code: "ROOM_READ_ONLY" })],
    open,
  });
  copies.update();
  assert.match(shown.get("id 2"), /Random wasn't sent/);
  open.push("2");
  copies.update();
  assert.equal(shown.size, 0);
  open.pop();
  copies.update();
  assert.equal(shown.size, 1);
  outbox.copies = [];
  copies.update();
  assert.equal(shown.size, 0);
});

test("a change reaches the user's own copies in other rooms, and those that are not sent yet", async () => {
  const { copies, sent, changes, shown } = page({ entries: [entry("9")] });
  const done = copies.changeAll(ACROSS, "1", { message: "new" });
  assert.deepEqual(sent[0], {
    room: "9",
    text: "new",
    client_id: "id 9",
    title: "",
    type: 0,
    across: ACROSS,
    source: undefined,
  });
  assert.deepEqual(sent[1], { command: "copies", across: ACROSS });
  const messages = [
    { room: "1", seq: 3, user: 7 },
    { room: "2", seq: 4, user: 7 },
    { room: "3", seq: 5, user: 8 },
  ];
  copies.copiesReceived({ copies: ACROSS, messages });
  await done;
  assert.deepEqual(
    changes.map(({ change }) => change),
    [{ command: "edit", room: "2", seq: 4, across: ACROSS, message: "new" }],
  );
  changes[0].outcome.failed();
  assert.match([...shown.values()][0], /^The copy in Random: /);
});

test("a deletion of all copies takes none of them back", async () => {
  const { copies, changes } = page();
  const done = copies.changeAll(ACROSS, "1", { undo: false });
  copies.copiesReceived({ copies: ACROSS, messages: [{ room: "2", seq: 4, user: 7 }] });
  await done;
  assert.deepEqual(
    changes.map(({ change }) => change),
    [{ command: "delete", room: "2", seq: 4, across: ACROSS }],
  );
});

test("without an answer it says so", async () => {
  const { copies, state, changes, shown } = page();
  state.isOnline = false;
  await copies.changeAll(ACROSS, "1", { undo: true });
  assert.deepEqual(changes, []);
  assert.equal(shown.size, 1);
});
