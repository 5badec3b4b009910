import assert from "node:assert/strict";
import { test } from "node:test";
import { reactionsOf, withReaction } from "../../static/chat/model/reactions.js";
import { RoomLog } from "../../static/chat/model/room_log.js";

const AT = "2026-11-21T10:00:00.000Z";
const ME = 7;
const posted = (seq, more = {}) => ({
  ...{ room: "1", username: "bob", message: "hi", msg_type: 0, seq, at: AT },
  ...more,
});
const reacted = (seq, target, emoji, user, on = true) => ({
  ...{ room: "1", reacted: target, emoji, user, username: `user ${user}`, on, seq, at: AT },
});
const page = (events, as_of) => ({ history: "1", events, as_of, more: false });

function joinedLog(head = 0) {
  const log = new RoomLog(ME);
  log.applyJoin({ join: "1", title: "Lobby", head, floor: 1, epoch: "k3" });
  return log;
}

const counts = ({ reactions }) => reactions.map(({ emoji, count, own }) => [emoji, count, own]);

test("a message has the reactions that its events leave, and knows which are the reader's", () => {
  const log = joinedLog();
  const { message } = log.applyEvent(posted(1));
  assert.deepEqual(message.reactions, []);
  assert.equal(log.applyEvent(reacted(2, 1, "👍", 3)).message, message);
  log.applyEvent(reacted(3, 1, "🎉", ME));
  log.applyEvent(reacted(4, 1, "👍", ME));
  assert.deepEqual(counts(message), [
    ["👍", 2, true],
    ["🎉", 1, true],
  ]);
  log.applyEvent(reacted(5, 1, "👍", 3, false));
  log.applyEvent(reacted(6, 1, "🎉", ME, false));
  assert.deepEqual(counts(message), [["👍", 1, true]]);
  assert.deepEqual(message.reactions[0].users, [{ username: "user 7", user: ME }]);
  assert.equal(message.edited, false);
});

test("a page of history has the reactions up to its as_of, and later events change them", () => {
  const log = joinedLog(10);
  log.setRequested(log.nextPage());
  const users = [{ user: 3, username: "alice" }];
  log.applyEvent(reacted(11, 4, "👍", 5));
  log.applyEvent(reacted(12, 4, "👍", ME));
  log.applyEvent(reacted(13, 4, "🎉", ME));
  const known = posted(4, { reactions: [{ emoji: "👍", count: 2, users, own: false }] });
  // The page includes the first of the three.
  const [message] = log.applyPage(page([known], 11)).messages;
  assert.deepEqual(counts(message), [
    ["👍", 3, true],
    ["🎉", 1, true],
  ]);
});

test("the same page and events give the same reactions, in whichever order they come", () => {
  const events = [reacted(2, 1, "👍", 3), reacted(3, 1, "👍", ME), reacted(4, 1, "👍", 3, false)];
  const live = joinedLog();
  const { message } = live.applyEvent(posted(1));
  for (const event of events) live.applyEvent(event);
  for (let asOf = 1; asOf <= 4; asOf += 1) {
    const log = joinedLog(1);
    log.setRequested(log.nextPage());
    for (const event of events) log.applyEvent(event);
    const included = events.filter(({ seq }) => seq <= asOf);
    const reactions = included.reduce((all, event) => withReaction(all, event, ME), []);
    const [paged] = log.applyPage(page([posted(1, { reactions })], asOf)).messages;
    assert.deepEqual(counts(paged), counts(message));
  }
});

test("a deleted message has no reactions", () => {
  const log = joinedLog();
  const { message } = log.applyEvent(posted(1));
  log.applyEvent(reacted(2, 1, "👍", 3));
  log.applyEvent({ room: "1", deleted: 1, seq: 3, at: AT });
  assert.deepEqual(message.reactions, []);
  log.applyEvent(reacted(4, 1, "👍", 3));
  assert.deepEqual(message.reactions, []);
});

test("at most ten users of an emoji are named, and all are counted", () => {
  let reactions = reactionsOf();
  for (let user = 1; user <= 30; user += 1)
    reactions = withReaction(reactions, reacted(user + 1, 1, "👍", user), ME);
  assert.deepEqual(
    reactions.map(({ count, users, own }) => [count, users.length, own]),
    [[30, 10, true]],
  );
});

test("a message knows which message it answers", () => {
  const log = joinedLog();
  assert.equal(log.applyEvent(posted(1, { reply_to: 350 })).message.replyTo, 350);
  assert.equal(log.applyEvent(posted(2)).message.replyTo, undefined);
});
