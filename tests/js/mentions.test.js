import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isNamed, marksOf } from "../../static/chat/model/mentions.js";
import { namesOf } from "../../static/chat/model/own.js";

const CASES = JSON.parse(readFileSync(new URL("../mentions.json", import.meta.url), "utf8"));

test("mentions are found by the server's rule", () => {
  for (const { text, name, named } of CASES) assert.equal(isNamed(text, name), named, text);
  assert.equal(isNamed(null, "bob"), false);
});

test("the names that the server found are marked, the reader's apart, however they are spelled", () => {
  const me = { id: 7, username: "bob" };
  const marked = (text, mentions, user = 3) =>
    marksOf(text, namesOf({ user, text, at: "2026", mentions }, me)).map(([start, end, isMe]) => [
      text.slice(start, end),
      isMe,
    ]);
  const [bob, carol, all] = [{ name: "Bob", user: 7 }, { name: "carol", user: 8 }, { name: "ALL" }];
  assert.deepEqual(marked("@Bob, ask (@carol) or @nobody, a@bob @BOB.", [bob, carol]), [
    ["@Bob", true],
    ["@carol", false],
    ["@BOB", true],
  ]);
  assert.deepEqual(marked("@all and @here", [all]), [["@all", true]]);
  // A message to others, one of the reader's own, and one from before the server found names.
  assert.deepEqual(marked("@carol, @bob", [carol]), [["@carol", false]]);
  assert.deepEqual(marked("@all @Bob", [all, bob], 7), [
    ["@all", false],
    ["@Bob", false],
  ]);
  assert.deepEqual(marked("@Bob @carol", undefined), [["@Bob", true]]);
  assert.deepEqual(marked("@bob. is here", [{ name: "bob.", user: 7 }]), [["@bob.", true]]);
  assert.equal(marked("@bob ".repeat(500), [bob]).length, 50);
});
