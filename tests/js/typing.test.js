import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { typingWords } from "../../static/chat/model/strings.js";
import { TypingSignal, Writers } from "../../static/chat/model/typing.js";

test("a user who is writing is shown until some seconds pass without a signal", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const shown = [];
  const writers = new Writers((names) => shown.push(names.join()));
  writers.isWriting("bob");
  mock.timers.tick(6000);
  writers.isWriting("alice");
  writers.isWriting("bob");
  mock.timers.tick(6000);
  assert.deepEqual(shown, ["bob", "bob,alice"]);
  mock.timers.tick(1000);
  assert.deepEqual(shown.slice(2), ["bob", ""]);
  mock.timers.reset();
});

test("a message ends that its author is writing, and of others nothing changes", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const shown = [];
  const writers = new Writers((names) => shown.push(names.join()));
  writers.isWriting("bob");
  writers.hasStopped("alice");
  writers.isWriting("charlie");
  writers.hasStopped("bob");
  writers.clear();
  mock.timers.tick(60_000);
  assert.deepEqual(shown, ["bob", "bob,charlie", "charlie", ""]);
  mock.timers.reset();
});

test("at most one signal is sent in three seconds, none for an empty text, and one for the next message", () => {
  let now = 0;
  let sent = 0;
  const signal = new TypingSignal(
    () => {
      sent += 1;
    },
    () => now,
  );
  for (const text of ["", " \n"]) signal.changed(text);
  assert.equal(sent, 0);
  for (; now < 9000; now += 100) signal.changed("hello");
  assert.equal(sent, 3);
  signal.reset();
  signal.changed("next");
  assert.equal(sent, 4);
});

test("those who are writing are named in one sentence", () => {
  assert.equal(typingWords([]), "");
  assert.equal(typingWords(["bob"]), "bob is writing …");
  assert.equal(typingWords(["bob", "alice"]), "bob and alice are writing …");
  assert.equal(typingWords(["a", "b", "c", "d"]), "a and 3 others are writing …");
});
