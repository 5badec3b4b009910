import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../../static/chat/room_log.js";

const AT = "2026-11-21T10:00:00.000Z";
const join = (head, more = {}) => ({
  join: "1",
  title: "Lobby",
  head,
  floor: 1,
  epoch: "k3",
  ...more,
});
const posted = (seq, message = `text ${seq}`, more = {}) => ({
  room: "1",
  username: "bob",
  message,
  msg_type: 0,
  seq,
  at: AT,
  ...more,
});
const edited = (seq, target, message) => ({ room: "1", edited: target, message, seq, at: AT });
const deleted = (seq, target) => ({ room: "1", deleted: target, seq, at: AT });
const page = (events, as_of, more = false) => ({ history: "1", events, as_of, more });

function joinedLog(head, more) {
  const log = new RoomLog();
  log.joined(join(head, more));
  return log;
}

test("an event is applied only if it is the next one", () => {
  const log = joinedLog(5);
  assert.equal(log.take(posted(5)).verdict, "old");
  assert.equal(log.take(posted(7)).verdict, "gap");
  assert.equal(log.take(posted(6)).verdict, "applied");
  assert.equal(log.take(posted(6)).verdict, "old");
  assert.equal(log.take(posted(7)).verdict, "applied");
  assert.deepEqual(log.cursor, { since: 7, epoch: "k3" });
});

test("events before the join reply are of an earlier session", () => {
  const log = new RoomLog();
  assert.equal(log.take(posted(1)).verdict, "old");
  assert.equal(log.cursor, null);
});

test("a resumed room keeps its cursor, a reset one starts over", () => {
  const log = joinedLog(5);
  assert.equal(log.joined(join(9)), false);
  assert.deepEqual(log.cursor, { since: 5, epoch: "k3" });
  assert.equal(log.joined(join(3, { reset: true, epoch: "a1" })), true);
  assert.deepEqual(log.cursor, { since: 3, epoch: "a1" });
  assert.equal(log.isPaged, false);
});

test("edits and deletes change what is held", () => {
  const log = joinedLog(0);
  const { message } = log.take(posted(1));
  assert.equal(log.take(edited(2, 1, "better")).message, message);
  assert.deepEqual([message.text, message.edited, message.deleted], ["better", true, false]);
  log.take(deleted(3, 1));
  assert.deepEqual([message.text, message.deleted], [null, true]);
});

test("an edit whose text was deleted later shows a deleted message", () => {
  const log = joinedLog(0);
  const { message } = log.take(posted(1));
  log.take({ ...edited(2, 1, null), deleted: true });
  assert.equal(message.deleted, true);
});

test("a page read before a change still shows the change", () => {
  const log = joinedLog(10);
  log.take(edited(11, 4, "better"));
  log.take(deleted(12, 5));
  const [four, five] = log.fold(page([posted(4), posted(5)], 10));
  assert.equal(four.text, "better");
  assert.equal(five.deleted, true);
});

test("a page read after a change is not changed back", () => {
  const log = joinedLog(10);
  log.take(edited(11, 4, "better"));
  const [four] = log.fold(page([posted(4, "best", { edited_at: AT })], 12));
  assert.equal(four.text, "best");
  log.take(edited(12, 4, "best"));
  assert.equal(four.text, "best");
});

test("a message that came with a page is not doubled by its own event", () => {
  const log = joinedLog(3);
  const [four] = log.fold(page([posted(4, "edited since", { edited_at: AT })], 5));
  assert.equal(log.take(posted(4, "first")).message, four);
  assert.equal(four.text, "edited since");
});

test("a page brings no message twice", () => {
  const log = joinedLog(0);
  const held = log.take(posted(1)).message;
  log.take(posted(2));
  assert.deepEqual(log.fold(page([posted(1), posted(2)], 2)), [held]);
  assert.deepEqual(log.fold(page([posted(1), posted(2)], 2)), []);
});

test("the next page ends before the oldest message held", () => {
  const log = joinedLog(100);
  assert.equal(log.before, undefined);
  log.fold(page([posted(51), posted(52)], 100, true));
  assert.equal(log.before, 51);
  assert.equal(log.more, true);
});

test("a page and the events since equal a fresh page, wherever the page falls", () => {
  const events = [
    posted(1),
    posted(2),
    edited(3, 1, "one"),
    posted(4),
    deleted(5, 2),
    edited(6, 4, "four"),
  ];
  const state = (asOf) => {
    const fresh = joinedLog(0);
    const messages = events.slice(0, asOf).map((event) => fresh.take(event).message);
    return [...new Set(messages)].map(({ seq, text, edited, deleted }) => ({
      seq,
      text,
      edited,
      deleted,
    }));
  };
  const asPage = (asOf) =>
    page(
      state(asOf).map(({ seq, text, edited, deleted }) => ({
        ...posted(seq, text),
        ...(edited && !deleted ? { edited_at: AT } : {}),
        ...(deleted ? { deleted: true } : {}),
      })),
      asOf,
    );
  for (let head = 0; head <= 6; head += 1)
    for (let pageAt = head; pageAt <= 6; pageAt += 1)
      for (let arrives = head; arrives <= 6; arrives += 1) {
        const log = joinedLog(head);
        const seen = new Map();
        const note = (message) => message && seen.set(message.seq, message);
        events.slice(head, arrives).forEach((event) => note(log.take(event).message));
        log.fold(asPage(pageAt)).forEach(note);
        events.slice(arrives).forEach((event) => note(log.take(event).message));
        const now = [...seen.values()]
          .sort((a, b) => a.seq - b.seq)
          .map(({ seq, text, deleted }) => ({ seq, text, deleted }));
        assert.deepEqual(
          now,
          state(6).map(({ seq, text, deleted }) => ({ seq, text, deleted })),
        );
      }
});
