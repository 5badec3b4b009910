import assert from "node:assert/strict";
import { test } from "node:test";
import { isForMe, isOwn } from "../../static/chat/model/own.js";
import { RoomLog } from "../../static/chat/model/room_log.js";

const posted = (seq, more) => ({
  room: "1",
  username: "bob",
  message: "hi",
  msg_type: 0,
  seq,
  at: "2026-11-21T10:00:00Z",
  ...more,
});

test("a message stays its author's after a rename, and does not pass to the next user of the name", () => {
  assert.equal(isOwn({ user: 7, username: "bob" }, { id: 7, username: "robert" }), true);
  assert.equal(isOwn({ user: 7, username: "bob" }, { id: 8, username: "bob" }), false);
});

test("a message of the system has no author", () => {
  assert.equal(isOwn({ username: "" }, { id: 7, username: "" }), false);
});

test("a log keeps the author's id of messages from events and from history", () => {
  const log = new RoomLog();
  log.applyJoin({ join: "1", title: "Lobby", head: 1, floor: 1, epoch: "k3" });
  assert.equal(log.applyEvent(posted(2, { user: 7 })).message.user, 7);
  assert.equal(log.applyEvent(posted(3)).message.user, undefined);
  log.setRequested({ place: { before: 2 } });
  const page = { history: "1", events: [posted(1, { user: 8 })], as_of: 3, more: false };
  assert.equal(log.applyPage(page).messages[0].user, 8);
});

test("a mention of a name does not reach a user who got the name later", () => {
  const message = { user: 3, text: "@bob look", at: "2026-11-21T10:00:00.000Z" };
  assert.equal(
    isForMe(message, { id: 7, username: "bob", since: "2026-11-20T10:00:00.000Z" }),
    true,
  );
  assert.equal(
    isForMe(message, { id: 8, username: "bob", since: "2026-11-21T10:00:00.001Z" }),
    false,
  );
  assert.equal(isForMe(message, { id: 7, username: "bob" }), true);
  assert.equal(isForMe(message, { id: 3, username: "bob" }), false);
});

test("the server says whom a message mentions, by id, and all users are meant by a name without one", () => {
  const me = { id: 7, username: "bob" };
  const message = { user: 3, text: "@robert", at: "2026-11-21T10:00:00.000Z" };
  assert.equal(isForMe({ ...message, mentions: [{ name: "robert", user: 7 }] }, me), true);
  assert.equal(isForMe({ ...message, mentions: [{ name: "robert", user: 8 }] }, me), false);
  assert.equal(isForMe({ ...message, mentions: [{ name: "all" }] }, me), true);
  assert.equal(isForMe({ ...message, user: 7, mentions: [{ name: "all" }] }, me), false);
});

test("a log keeps whom a message mentions, and an edit changes it", () => {
  const log = new RoomLog(7);
  log.applyJoin({ join: "1", title: "Lobby", head: 0, floor: 1, epoch: "k3" });
  const mentions = [{ name: "bob", user: 7 }];
  const { message } = log.applyEvent(posted(1, { mentions }));
  assert.deepEqual(message.mentions, mentions);
  const edit = { room: "1", edited: 1, message: "hi", at: "2026-11-21T10:00:00Z" };
  log.applyEvent({ ...edit, seq: 2 });
  assert.deepEqual(message.mentions, []);
  log.applyEvent({ ...edit, seq: 3, mentions });
  assert.deepEqual(message.mentions, mentions);
  log.applyEvent({ room: "1", deleted: 1, seq: 4, at: "2026-11-21T10:00:00Z" });
  assert.deepEqual(message.mentions, []);
});
