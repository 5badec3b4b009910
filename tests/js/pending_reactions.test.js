import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { reactedWords } from "../../static/chat/model/answer_words.js";
import { Changes } from "../../static/chat/model/changes.js";
import { PendingReactions } from "../../static/chat/model/pending_reactions.js";

const ME = { id: 7, username: "bob" };
const THUMB = "👍";

let sent;
let line;
let epoch;
let cursor;
let refused;
let changes;
let pending;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [sent, refused] = [[], []];
  [line, epoch, cursor] = [true, "a", 5];
  changes = new Changes((command) => line && sent.push(command) > 0);
  pending = new PendingReactions({
    me: ME,
    change: (...change) => changes.sendChange(...change),
    epochOf: () => epoch,
    cursorOf: () => cursor,
    changed: () => {},
    refused: (_room, { error }) => refused.push(error),
  });
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

test("a final refusal takes it back and says why", () => {
  pending.react("1", 3, THUMB, true);
  changes.refuse({ error: "MESSAGE_INVALID", client_id: sent[0].client_id });
  assert.deepEqual([refused, shown()], [["MESSAGE_INVALID"], []]);
});

test("the users who reacted are named, the reader first", () => {
  const users = [
    { user: 3, username: "alice" },
    { user: 7, username: "bob" },
  ];
  const words = (more) => reactedWords({ emoji: THUMB, count: 2, users, own: true, ...more }, 7);
  assert.equal(words(), "You and \u2068alice\u2069");
  assert.equal(words({ count: 5 }), "You, \u2068alice\u2069 and 3 others");
  assert.equal(words({ count: 3, own: false }), "\u2068alice\u2069 and 2 others");
});
