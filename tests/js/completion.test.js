import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isComplete,
  MAX_CHOICES,
  peopleChoices,
  roomChoices,
  wordAt,
} from "../../static/chat/model/completion.js";
import { PeopleSearch } from "../../static/chat/model/people_search.js";

const at = (text) => {
  const word = wordAt(text, text.length);
  return word && `${word.sign}${word.typed} ${word.start}`;
};
const labels = (choices) => choices.map(({ label }) => label);

test("a sign begins a word that can be completed, at the start and after a space or bracket", () => {
  for (const [text, word] of [
    ["@", "@ 0"],
    ["hi @bo", "@bo 3"],
    ["(@b", "@b 1"],
    ["two\n@Ж", "@Ж 4"],
    ["a @b.c-d", "@b.c-d 2"],
    ["#", "# 0"],
    ["see #lob", "#lob 4"],
    [":ta", ":ta 0"],
    ["a :+1", ":+1 2"],
  ])
    assert.equal(at(text), word, text);
});

test("addresses, times, links, smileys and finished words are not completed", () => {
  for (const text of [
    "",
    "a@b",
    "me@example",
    "10:30",
    "http:",
    "https://x",
    ":",
    ":D",
    ":)",
    "a:bc",
    "x#1",
    "@bob ",
    "# ",
    "@bob,",
    `@${"x".repeat(80)}`,
  ])
    assert.equal(at(text), null, text);
});

test("only the word before the caret counts, however long the text is", () => {
  const text = `${"x".repeat(30_000)} @bo and more`;
  assert.deepEqual(wordAt(text, 30_004), { sign: "@", typed: "bo", start: 30_001 });
  assert.equal(wordAt(text, text.length), null);
});

test("those who are here come first, the reader after them, and each name is there once", () => {
  const people = { here: ["bob", "alice", "Bea"], others: ["barbara", "Bea", "BO"], me: "Bea" };
  assert.deepEqual(labels(peopleChoices("b", people)), ["bob", "Bea", "barbara", "BO"]);
  assert.deepEqual(labels(peopleChoices("", people)).slice(0, 3), ["alice", "bob", "Bea"]);
  assert.deepEqual(
    peopleChoices("bo", people).map(({ text, isHere }) => [text, isHere]),
    [
      ["@bob", true],
      ["@BO", false],
    ],
  );
  assert.equal(peopleChoices("cafe\u0301", { here: [], others: ["CAF\u00c9"], me: "" }).length, 1);
  // Those who may mention all users are offered it after the people, however many there are.
  const calls = { ...people, others: Array.from({ length: 20 }, (_, n) => `u${n}`), mayCall: true };
  assert.deepEqual(labels(peopleChoices("", calls)).slice(-2), ["here", "all"]);
  assert.equal(peopleChoices("", calls).length, MAX_CHOICES);
  assert.deepEqual(labels(peopleChoices("AL", calls)), ["alice", "all"]);
  assert.deepEqual(labels(peopleChoices("al", people)), ["alice"]);
  const many = Array.from({ length: 50 }, (_, n) => `user${n}`);
  assert.equal(peopleChoices("u", { here: [], others: many, me: "" }).length, MAX_CHOICES);
});

test("rooms are found by their title, a word of it, or its initials, without regard to accents", () => {
  const rooms = ["War Room", "Lobby", "Room 7", "east/rooms", "Köln · tier 2"].map((title) => ({
    title,
  }));
  assert.deepEqual(labels(roomChoices("ROO", rooms)), ["Room 7", "east/rooms", "War Room"]);
  assert.deepEqual(labels(roomChoices("oom", rooms)), []);
  assert.equal(roomChoices("lob", rooms)[0].text, "#Lobby");
  assert.deepEqual(labels(roomChoices("koln", rooms)), ["Köln · tier 2"]);
  assert.deepEqual(labels(roomChoices("kt2", rooms)), ["Köln · tier 2"]);
  assert.deepEqual(labels(roomChoices("TIER", rooms)), ["Köln · tier 2"]);
});

test("what is typed completely is not completed by Enter", () => {
  const choices = [
    { label: "Bob", text: "@Bob" },
    { label: "bobby", text: "@bobby" },
  ];
  assert.ok(isComplete({ sign: "@", typed: "bob", start: 0 }, choices));
  assert.ok(!isComplete({ sign: "@", typed: "bo", start: 0 }, choices));
});

test("one question is asked for a prefix, and none when a shorter prefix had all names", async () => {
  const sent = [];
  let now = 0;
  const search = new PeopleSearch(
    ({ prefix }) => sent.push(prefix) > 0,
    () => now,
  );
  const asked = [search.find("1", "b"), search.find("1", "b")];
  search.answered({ people: "1", prefix: "b", names: ["bob"] });
  assert.deepEqual(await Promise.all(asked), [["bob"], ["bob"]]);
  assert.deepEqual(await search.find("1", "bo"), ["bob"]);
  assert.deepEqual(sent, ["b"]);
  // Only an answer to the beginning of `all` or `here` says whether the reader may mention all users.
  assert.equal(search.mayCall("1"), false);
  search.answered({ people: "1", prefix: "A", names: [], all: true });
  search.answered({ people: "1", prefix: "b", names: ["bob"] });
  assert.equal(search.mayCall("1"), true);
  search.answered({ people: "1", prefix: "h", names: [] });
  assert.equal(search.mayCall("1"), false);
  // Twenty names may not be all.
  const more = search.find("1", "c");
  search.answered({
    people: "1",
    prefix: "c",
    names: Array.from({ length: 20 }, (_, n) => `c${n}`),
  });
  await more;
  assert.equal((await search.find("1", "c")).length, 20);
  search.find("1", "ca");
  search.find("2", "b");
  assert.deepEqual(sent, ["b", "c", "ca", "b"]);
  now = 60_000;
  search.find("1", "b");
  assert.equal(sent.length, 5);
});

test("no names are found while offline, after a refusal, and when the connection is lost", async () => {
  let isOnline = false;
  const search = new PeopleSearch(() => isOnline);
  assert.deepEqual(await search.find("1", "b"), []);
  isOnline = true;
  const refused = search.find("1", "b");
  search.refused({ error: "RATE_LIMITED", command: "people", room: "1" });
  assert.deepEqual(await refused, []);
  const lost = search.find("1", "b");
  search.connectionLost();
  assert.deepEqual(await lost, []);
});
