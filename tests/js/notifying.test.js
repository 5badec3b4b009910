import assert from "node:assert/strict";
import { test } from "node:test";
import { pauses, tidy } from "../../static/chat/model/notifying.js";
import { notifyWords } from "../../static/chat/model/strings.js";

test("a text cannot change the direction of what stands around it", () => {
  assert.equal(tidy("abc\u202egnp.exe\u2069\nnext   line "), "\u2068abcgnp.exe next line\u2069");
  assert.equal(tidy("שלום"), "\u2068שלום\u2069");
  const long = tidy("👍".repeat(5_000));
  assert.equal([...long].length, 203);
  assert.ok(long.endsWith("…\u2069"));
});

test("a notification names the room and the author, a direct room only its people", () => {
  const message = { author: tidy("bob"), text: tidy("hi"), type: 0, isDirect: false };
  const [room, bob, hi] = ["Lobby", "bob", "hi"].map(tidy);
  assert.deepEqual(notifyWords(room, message), { title: room, body: `${bob}: ${hi}` });
  assert.equal(notifyWords(bob, { ...message, isDirect: true }).body, hi);
  assert.equal(notifyWords(room, { ...message, type: 2 }).title, `Alert in \u2068${room}\u2069`);
  assert.equal(notifyWords(room, { ...message, author: tidy("") }).body, hi);
});

test("notifications pause for half an hour, an hour, or until tomorrow morning", () => {
  const now = new Date(2026, 10, 26, 13, 30);
  const [half, hour, tomorrow] = pauses(now).map(({ until }) => new Date(until));
  assert.equal(half.getTime(), new Date(2026, 10, 26, 14, 0).getTime());
  assert.equal(hour.getTime(), new Date(2026, 10, 26, 14, 30).getTime());
  assert.equal(tomorrow.getTime(), new Date(2026, 10, 27, 8, 0).getTime());
});
