import assert from "node:assert/strict";
import { test } from "node:test";
import { clockOf, pauses, tidy } from "../../static/chat/model/notifying.js";
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

test("notifications pause until a half hour of the clock in the next hours, or until tomorrow morning", () => {
  const at = (...time) => new Date(2026, 10, 26, ...time).getTime();
  const times = (now) => pauses(new Date(now)).map(({ until }) => until);
  const tomorrow = at(32, 0);
  assert.deepEqual(times(at(9, 41)), [at(10, 30), at(11), at(12), at(14), tomorrow]);
  assert.deepEqual(times(at(13, 30)), [at(14), at(14, 30), at(15, 30), at(17, 30), tomorrow]);
  assert.deepEqual(times(at(23, 45)), [at(24, 30), at(25), at(26), at(28), tomorrow]);
});

test("a pause is named by its time, on the clock that the user has chosen", () => {
  const afternoon = new Date();
  afternoon.setHours(afternoon.getHours() < 14 ? 14 : 38, 0, 0, 0);
  assert.equal(clockOf(afternoon.getTime(), "24"), "14:00");
  assert.match(clockOf(afternoon.getTime(), "12"), /^2:00\sPM$/);
  const later = new Date(afternoon).setDate(afternoon.getDate() + 3);
  assert.match(clockOf(later, "24"), /^\w{3} 14:00$/);
  const [first] = pauses(new Date(2026, 10, 26, 13, 30), "24");
  assert.match(first.label, /^Pause until .*14:00\W?$/);
});
