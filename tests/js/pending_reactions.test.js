import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { reactedWords } from "../../static/chat/model/answer_words.js";
import { Changes } from "../../static/chat/model/changes.js";
import { PendingReactions } from "../../static/chat/model/pending_reactions.js";
import { storedAt } from "../../static/chat/model/reactions.js";

import { Store } from "./store.js";

const ME = { id: 7, username: "bob" };
const THUMB = "👍";

let sent;
let line;
let epoch;
let cursor;
let refused;
let changes;
let pending;
let store;
/** The tabs that are open. */
let open;

/** A page in a tab of its own. @param {string} tab */
const page = (tab) =>
  new PendingReactions({
    me: ME,
    store,
    tabs: { id: tab, isClosed: async (other) => !open.has(other) },
    change: (...change) => changes.sendChange(...change),
    epochOf: () => epoch,
    cursorOf: () => cursor,
    changed: () => {},
    refused: (_room, { error }) => refused.push(error),
  });
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [sent, refused] = [[], []];
  [line, epoch, cursor] = [true, "a", 5];
  changes = new Changes((command) => line && sent.push(command) > 0);
  [store, open] = [new Store(), new Set(["a"])];
  pending = page("a");
});

const message = (reactions = []) => ({ seq: 3, reactions });
const shown = (reactions) =>
  pending
    .shownOf("1", message(reactions))
    .map(({ emoji, count, own, isPending }) => [emoji, count, own, isPending]);
const reaction = (count, own) => ({ emoji: THUMB, count, own, users: [] });

test("a reaction is shown at once and until its event has arrived", () => {
  pending.react("1", 3, THUMB, true);
  assert.deepEqual(shown(), [[THUMB, 1, true, true]]);
  const [{ client_id, ...command }] = sent;
  assert.deepEqual(command, {
    ...{ command: "react", room: "1", seq: 3, emoji: THUMB, on: true, epoch: "a" },
  });
  changes.settle(client_id, 6); // the event is still on its way
  assert.deepEqual(shown(), [[THUMB, 1, true, true]]);
  pending.eventApplied("1", { room: "1", seq: 6, client_id });
  assert.deepEqual(shown([reaction(1, true)]), [[THUMB, 1, true, false]]);
});

test("a state that is there already is acknowledged with an event that was applied", () => {
  pending.react("1", 3, THUMB, true);
  assert.deepEqual(shown([reaction(2, true)]), [[THUMB, 2, true, true]]);
  changes.settle(sent[0].client_id, 5);
  assert.deepEqual(shown(), []);
});

test("after a lost connection everything is sent again in order, under the same ids", () => {
  pending.react("1", 3, THUMB, true);
  line = false;
  changes.connectionLost();
  pending.react("1", 3, THUMB, false);
  assert.deepEqual(shown(), []);
  line = true;
  pending.roomJoined("1");
  const [first, again, last] = sent;
  assert.deepEqual(again, first);
  assert.equal(last.on, false);
  pending.roomJoined("1");
  assert.equal(sent.length, 3);
});

test("nothing is sent into another log of the room", () => {
  line = false;
  pending.react("1", 3, THUMB, true);
  [line, epoch] = [true, "b"];
  pending.roomJoined("1");
  assert.deepEqual([sent, shown()], [[], []]);
});

test("a temporary refusal is tried again, unless the user did something else since", () => {
  pending.react("1", 3, THUMB, true);
  const later = { error: "RATE_LIMITED", retry_after: 1 };
  changes.refuse({ ...later, client_id: sent[0].client_id });
  mock.timers.tick(1000);
  assert.deepEqual(sent[1], sent[0]);
  changes.refuse({ ...later, client_id: sent[1].client_id });
  pending.react("1", 3, THUMB, false);
  mock.timers.tick(1000);
  assert.deepEqual(
    sent.map(({ on }) => on),
    [true, true, false],
  );
  changes.settle(sent[2].client_id, 5);
  assert.deepEqual(shown(), []);
});

test("a reaction whose pane was closed is sent when its room is joined again", () => {
  pending.react("1", 3, THUMB, true);
  changes.refuse({ error: "RATE_LIMITED", retry_after: 1, client_id: sent[0].client_id });
  cursor = 0;
  mock.timers.tick(1000);
  pending.react("1", 3, "🎉", true);
  assert.equal(sent.length, 1);
  cursor = 5;
  pending.roomJoined("1");
  assert.deepEqual(
    sent.map(({ emoji }) => emoji),
    [THUMB, THUMB, "🎉"],
  );
});

test("a final refusal takes it back and says why", () => {
  pending.react("1", 3, THUMB, true);
  changes.refuse({ error: "MESSAGE_INVALID", client_id: sent[0].client_id });
  assert.deepEqual([refused, shown()], [["MESSAGE_INVALID"], []]);
});

test("a reaction that waited longer than a day is forgotten, in its page and after a reload", async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 1e12 });
  line = false;
  pending.react("1", 3, THUMB, true);
  mock.timers.tick(86_400_000);
  pending.react("1", 4, THUMB, true);
  mock.timers.tick(1);
  line = true;
  open = new Set(["b"]);
  page("b");
  await settled();
  pending.roomJoined("1");
  assert.deepEqual(
    sent.map(({ seq }) => seq),
    [4, 4],
  );
});

test("the users who reacted are named, the reader first", () => {
  const users = [
    { user: 3, username: "alice" },
    { user: 7, username: "bob" },
  ];
  const words = (more) => reactedWords({ emoji: THUMB, count: 2, users, own: true, ...more }, 7);
  assert.equal(words(), "You and alice");
  assert.equal(words({ count: 5 }), "You, alice and 3 others");
  assert.equal(words({ count: 3, own: false }), "alice and 2 others");
  const turned = words({ users: [{ user: 3, username: "\u202ealice" }] });
  assert.equal(turned, "You and \u2068\u2068\u202ealice\u2069\u2069");
});

test("after a reload, a reaction is sent again under its id, shown meanwhile, and kept no longer", async () => {
  pending.react("1", 3, THUMB, true);
  changes.connectionLost();
  open = new Set(["b", "c"]);
  pending = page("b");
  await settled();
  assert.deepEqual(sent[1], sent[0]);
  assert.deepEqual(shown(), [[THUMB, 1, true, true]]);
  page("c"); // another tab opens: it leaves the record to the tab that has taken it over
  await settled();
  assert.equal(sent.length, 2);
  changes.settle(sent[1].client_id, 6);
  assert.equal(store.length, 0);
  pending.eventApplied("1", { room: "1", seq: 6, client_id: sent[1].client_id });
  assert.deepEqual(shown([reaction(1, true)]), [[THUMB, 1, true, false]]);
});

test("a page that was opened offline sends what a closed tab left as soon as its room is joined", async () => {
  line = false;
  pending.react("1", 3, THUMB, true);
  pending.react("1", 3, "🎉", true);
  pending.react("1", 3, THUMB, false);
  [open, cursor] = [new Set(["b"]), 0];
  pending = page("b");
  await settled();
  assert.deepEqual(sent, []);
  [line, cursor] = [true, 5];
  pending.roomJoined("1");
  // Of each emoji the last, because it decides.
  assert.deepEqual(
    sent.map(({ emoji, on }) => [emoji, on]),
    [
      ["🎉", true],
      [THUMB, false],
    ],
  );
});

test("what a user does meanwhile counts, and nothing is sent into another log or kept for ever", async () => {
  line = false;
  pending.react("1", 3, THUMB, true);
  pending.react("1", 4, THUMB, true);
  line = true;
  open = new Set(["b"]);
  pending = page("b");
  pending.react("1", 3, THUMB, false);
  await settled();
  assert.deepEqual(
    sent.map(({ seq, on }) => [seq, on]),
    [
      [3, false],
      [4, true],
    ],
  );
  epoch = "b";
  pending.roomJoined("1");
  assert.equal(store.length, 0);
  const old = { clientId: "x", room: "1", seq: 3, emoji: THUMB, on: true, epoch, at: 0, tab: "a" };
  store.setItem(`${storedAt(ME.id)}x`, JSON.stringify(old));
  store.setItem(`${storedAt(ME.id)}y`, "no record");
  page("c");
  await settled();
  assert.deepEqual([store.length, sent.length], [1, 2]);
});

test("a store that refuses loses only the reload", () => {
  store.setItem = () => {
    throw new Error("full");
  };
  pending.react("1", 3, THUMB, true);
  changes.settle(sent[0].client_id, 5);
  assert.deepEqual(shown(), []);
});
