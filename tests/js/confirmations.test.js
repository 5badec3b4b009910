import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../../static/chat/model/room_log.js";

const AT = "2026-11-21T10:00:00.000Z";
const ME = 7;
const alert = (seq, more = {}) => ({
  ...{ room: "1", username: "bob", message: "Disk full", msg_type: 2, seq, at: AT },
  ...more,
});
const confirmed = (seq, target, user) => ({
  ...{ room: "1", confirmed: target, user, username: `user ${user}`, seq, at: AT },
});
const resolved = (seq, target) => ({
  ...{ room: "1", resolved: target, user: 3, username: "alice", seq, at: AT },
});

function joinedLog(head = 0) {
  const log = new RoomLog(ME);
  log.applyJoin({ join: "1", title: "Lobby", head, floor: 1, epoch: "k3" });
  return log;
}

test("an alert shows who has confirmed it, and that it is over", () => {
  const log = joinedLog();
  const { message } = log.applyEvent(alert(1));
  assert.deepEqual(message.confirmations, { count: 0, users: [], own: false });
  log.applyEvent(confirmed(2, 1, 3));
  assert.deepEqual([message.confirmations.count, message.confirmations.own], [1, false]);
  log.applyEvent(confirmed(3, 1, ME));
  const users = [
    { username: "user 3", user: 3 },
    { username: "user 7", user: ME },
  ];
  assert.deepEqual(message.confirmations, { count: 2, users, own: true });
  assert.equal(message.resolution, null);
  log.applyEvent(resolved(4, 1));
  assert.deepEqual(message.resolution, { user: 3, username: "alice", seq: 4, at: AT });
  assert.deepEqual([message.text, message.edited], ["Disk full", false]);
  log.applyEvent({ room: "1", deleted: 1, seq: 5, at: AT });
  assert.deepEqual([message.confirmations.count, message.resolution], [0, null]);
});

test("confirmations in a page of history and later events are counted once", () => {
  const log = joinedLog(10);
  log.setRequested(log.nextPage());
  log.applyEvent(confirmed(11, 4, 3));
  log.applyEvent(confirmed(12, 4, ME));
  const confirmations = { count: 1, users: [{ user: 3, username: "user 3" }] };
  const page = { history: "1", events: [alert(4, { confirmations })], as_of: 11, more: false };
  const [message] = log.applyPage(page).messages;
  assert.deepEqual([message.confirmations.count, message.confirmations.own], [2, true]);
});

test("many confirmations are counted, and fifty users named", () => {
  const log = joinedLog();
  const { message } = log.applyEvent(alert(1));
  for (let seq = 2; seq < 82; seq += 1) log.applyEvent(confirmed(seq, 1, seq));
  assert.deepEqual([message.confirmations.count, message.confirmations.users.length], [80, 50]);
});
