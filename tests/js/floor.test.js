import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../../static/chat/model/room_log.js";

/** @param {number} seq */
const posted = (seq) => ({
  room: "1",
  username: "bob",
  message: `text ${seq}`,
  msg_type: 0,
  seq,
  at: "2026-11-26T04:00:00.000Z",
});

test("messages below the floor are forgotten, and no older page is asked for", () => {
  const log = new RoomLog();
  log.applyJoin({ join: "1", title: "Lobby", head: 10, floor: 1, epoch: "e" });
  log.setRequested({ place: {} });
  log.applyPage({ history: "1", events: [5, 6, 7, 8, 9, 10].map(posted), as_of: 10, more: true });
  assert.equal(log.hasOlder, true);
  assert.equal(log.raiseFloor(3), false);
  assert.equal(log.hasOlder, true, "there are older messages from 3 on");
  assert.equal(log.raiseFloor(8), true);
  assert.equal(log.hasOlder, false);
  const edit = { room: "1", edited: 7, message: "new", seq: 11, at: posted(11).at };
  assert.equal(log.applyEvent(edit).message, null, "a message that has expired is not shown again");
  assert.equal(log.raiseFloor(8), false);
  assert.equal(log.applyEvent(posted(12)).verdict, "applied");
});
