import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Copies } from "../../static/chat/lazy/copies.js";

const FILE = { id: "1c0e4f52-93a0-4a3e-8c6b-0f5d8a7be9d1", name: "a.txt", type: "x", size: 4 };
const ACROSS = "16fd2706-8baf-433b-82eb-8c7fada847da";

beforeEach(() => mock.timers.reset());

/** A page with an outbox whose entries the test sets. */
function page({ entries = [], open = [] } = {}) {
  const [joined, left, sent, changes, shown, choices] = [[], [], [], [], new Map(), []];
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
      show: (text, options = {}) => {
        shown.set(options.key, text);
        choices.push(...(options.choices ?? []));
      },
      remove: (key) => shown.delete(key),
    },
    rooms: () => new Map([["2", { title: "Random" }]]),
    isOpen: (room) => open.includes(room),
    isOnline: () => state.isOnline,
    ask: (command) => state.isOnline && Boolean(sent.push(command)),
    change: (change, outcome, clientId) => changes.push({ change, outcome, clientId }),
  });
  return { copies, outbox, state, joined, left, sent, changes, shown, choices };
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

test("a copy that waited longer than a day for a closed room is offered and not sent", () => {
  const { copies, joined, shown, choices } = page({ entries: [entry("2", { state: "held" })] });
  copies.update();
  assert.deepEqual(joined, []);
  assert.match(shown.get("id 2"), /Random wasn't sent/);
  assert.deepEqual(
    choices.map(({ label }) => label),
    ["Retry", "Discard"],
  );
});

test("a change reaches the user's own copies in other rooms, and those that are not sent yet", async () => {
  const { copies, sent, changes, shown } = page({ entries: [entry("9", { files: [FILE] })] });
  const done = copies.changeAll(ACROSS, "1", { message: "new" });
  assert.deepEqual(sent[0], {
    room: "9",
    text: "new",
    client_id: "id 9",
    title: "",
    type: 0,
    across: ACROSS,
    source: undefined,
    files: [FILE],
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

/** Delete the copies in 150 rooms, with a server that answers after each tenth of a second. */
async function deleteMany({ answer, seconds }) {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1e12 });
  const the = page();
  const messages = Array.from({ length: 150 }, (_, i) => ({ room: `${i + 2}`, seq: 4, user: 7 }));
  const done = the.copies.changeAll(ACROSS, "1", { undo: false });
  the.copies.copiesReceived({ copies: ACROSS, messages });
  await done;
  const [made, waits] = [[], []];
  // As LIMIT_BAD_FRAMES_AT_ONCE and LIMIT_BAD_FRAMES_PER_SECOND.
  let refusable = 40;
  for (let tenths = 0; tenths < seconds * 10; tenths += 1) {
    const commands = the.changes.splice(0);
    waits.push(commands.length);
    for (const { change, outcome, clientId } of commands) {
      const frame = answer(tenths / 10, change);
      if (frame === undefined) {
        made.push({ room: change.room, clientId });
        outcome.done();
      } else {
        outcome.failed(frame ?? undefined);
        refusable -= 1;
        assert.ok(refusable >= 0, "the server would close the socket");
      }
    }
    refusable = Math.min(40, refusable + 0.1);
    mock.timers.tick(100);
  }
  return { ...the, made, most: Math.max(...waits), rooms: messages.map(({ room }) => room) };
}

test("150 copies are changed in pieces, and again after retry_after where the user is too fast", async () => {
  // The user has just sent as many messages as are allowed, and goes on to send eight a second.
  let [allowed, last] = [0, 0];
  const { made, most, rooms, shown } = await deleteMany({
    answer: (now) => {
      allowed = Math.min(60, allowed + (now - last) * 2);
      last = now;
      if (allowed < 1) return { error: "RATE_LIMITED", retry_after: 0.5 };
      allowed -= 1;
      return undefined;
    },
    seconds: 180,
  });
  assert.equal(most, 12);
  const byNumber = (a, b) => a - b;
  assert.deepEqual(made.map(({ room }) => room).sort(byNumber), rooms, "each is made once");
  assert.equal(shown.size, 0);
});

test("a copy that is changed again has the same client_id", async () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1e12 });
  const { copies, changes } = page();
  const done = copies.changeAll(ACROSS, "1", { message: "new" });
  copies.copiesReceived({ copies: ACROSS, messages: [{ room: "2", seq: 4, user: 7 }] });
  await done;
  changes[0].outcome.failed({ error: "SERVER_UNAVAILABLE", retry_after: 5 });
  mock.timers.tick(4_900);
  assert.equal(changes.length, 1);
  mock.timers.tick(100);
  assert.deepEqual(changes[1].change, changes[0].change);
  assert.equal(changes[1].clientId, changes[0].clientId);
});

test("copies that are refused for good make one notice with their count, and no flood", async () => {
  const { made, shown, choices } = await deleteMany({
    answer: (_now, { room }) => (room === "2" ? undefined : { error: "MESSAGE_INVALID" }),
    seconds: 200,
  });
  assert.deepEqual(made.length, 1);
  assert.deepEqual(shown.size, 1);
  assert.match([...shown.values()][0], /^149 copies .* and 146 more\): The message wasn't changed/);
  assert.deepEqual(choices, []);
});

test("when the connection is lost, one notice offers to try all the others again", async () => {
  const { made, shown, choices, changes, rooms } = await deleteMany({
    answer: (now) => (now < 3 ? undefined : null),
    seconds: 30,
  });
  assert.equal(made.length, 24);
  assert.match([...shown.values()].join(), /^126 copies .*offline/);
  const [retry] = choices;
  retry.act();
  assert.equal(changes.length, 12);
  for (const { change } of changes) assert.ok(rooms.slice(24).includes(change.room));
});

test("of two changes of a copy that waits, only the later one is sent", async () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1e12 });
  const { copies, changes, shown } = page();
  const messages = Array.from({ length: 13 }, (_, i) => ({ room: `${i + 2}`, seq: 4, user: 7 }));
  const change = async (what) => {
    const done = copies.changeAll(ACROSS, "1", what);
    copies.copiesReceived({ copies: ACROSS, messages });
    await done;
  };
  await change({ message: "new" });
  await change({ undo: false });
  assert.equal(changes.length, 12);
  // Refused when the later one waits already: it is not sent again.
  changes[0].outcome.failed({ error: "RATE_LIMITED", retry_after: 1 });
  for (const { outcome } of changes.slice(1)) outcome.done();
  for (let seconds = 0; seconds < 10; seconds += 1) {
    const from = changes.length;
    mock.timers.tick(1_000);
    for (const { outcome } of changes.slice(from)) outcome.done();
  }
  assert.deepEqual(
    changes.slice(12).map(({ change: { command } }) => command),
    Array(13).fill("delete"),
  );
  assert.equal(shown.size, 0);
});
