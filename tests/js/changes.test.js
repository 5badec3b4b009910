import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Changes } from "../../static/chat/model/changes.js";
import { messageItems } from "../../static/chat/model/message_items.js";

const EDIT = { command: "edit", room: "1", seq: 3, message: "better" };

let sent;
let outcomes;
let line;
let changes;
const outcome = {
  done: () => outcomes.push("done"),
  failed: (frame) => outcomes.push(frame?.error ?? "line"),
};

beforeEach(() => {
  sent = [];
  outcomes = [];
  line = { isOpen: true };
  changes = new Changes((command) => line.isOpen && sent.push(command) > 0);
});

test("a change has one outcome", () => {
  changes.sendChange(EDIT, outcome);
  const [{ client_id, ...rest }] = sent;
  assert.deepEqual(rest, EDIT);
  changes.settle(client_id);
  changes.settle(client_id);
  changes.connectionLost();
  assert.deepEqual(outcomes, ["done"]);
});

test("a refusal reaches the change that it is about, with its reason", () => {
  changes.sendChange(EDIT, outcome);
  assert.equal(changes.refuse({ error: "NOT_AUTHOR", client_id: "another" }), false);
  assert.equal(changes.refuse({ error: "NOT_AUTHOR", client_id: sent[0].client_id }), true);
  assert.deepEqual(outcomes, ["NOT_AUTHOR"]);
});

test("a change fails when the connection is down or closes", () => {
  changes.sendChange(EDIT, outcome);
  changes.connectionLost();
  line.isOpen = false;
  changes.sendChange(EDIT, outcome);
  assert.deepEqual(outcomes, ["line", "line"]);
});

test("a message's menu offers what the server allows, by the user's id and not by the name", () => {
  const acts = { reply() {}, react() {}, edit() {}, markUnread() {}, remove() {}, copyText() {} };
  const labels = (message, user, more = {}) =>
    messageItems({ user: 7, username: "bob", type: 0, deleted: false, ...message }, user, {
      ...acts,
      ...more,
    }).map(({ label }) => label);
  assert.deepEqual(labels({}, { id: 7, username: "robert", staff: false }), [
    "Reply",
    "Add reaction",
    "Edit",
    "Copy text",
    "Delete",
  ]);
  assert.deepEqual(labels({}, { id: 3, username: "alice", staff: true }), [
    "Reply",
    "Add reaction",
    "Copy text",
    "Mark as unread",
    "Delete",
  ]);
  assert.deepEqual(labels({}, { id: 8, username: "bob", staff: false }), [
    "Reply",
    "Add reaction",
    "Copy text",
    "Mark as unread",
  ]);
  assert.deepEqual(labels({ deleted: true }, { id: 7, username: "robert", staff: true }), []);
  const nothing = { copyText: undefined };
  assert.deepEqual(labels({}, { id: 8, username: "bob", staff: false }, nothing), [
    "Reply",
    "Add reaction",
    "Mark as unread",
  ]);
  const archived = { type: 2, resolution: null, confirmations: { count: 2 } };
  assert.deepEqual(labels(archived, { id: 7, username: "bob", staff: true, isArchived: true }), [
    "Copy text",
    "See who has not confirmed",
  ]);
  const bob = { id: 7, username: "bob", staff: false, isArchived: true };
  assert.deepEqual(labels(archived, bob), ["Copy text"]);
  const confirmed = { ...archived, confirmations: { count: 3 } };
  assert.deepEqual(labels(confirmed, bob), ["Copy text", "See who has confirmed"]);
});
