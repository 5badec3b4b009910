import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isNamed, marksOf } from "../../static/chat/model/mentions.js";

const CASES = JSON.parse(readFileSync(new URL("../mentions.json", import.meta.url), "utf8"));

test("mentions are found by the server's rule", () => {
  for (const { text, name, named } of CASES) assert.equal(isNamed(text, name), named, text);
  assert.equal(isNamed(null, "bob"), false);
});

test("every name is marked, the reader's apart, and no address of a mail", () => {
  const marked = (text, me = "bob") =>
    marksOf(text, me).map(([start, end, isMe]) => [text.slice(start, end), isMe]);
  assert.deepEqual(marked("@bob, ask @carol. Or (@d.o-e)? mail a@b.org @@"), [
    ["@bob", true],
    ["@carol", false],
    ["@d.o-e", false],
  ]);
  assert.deepEqual(marked("@bob. is here", "bob."), [["@bob.", true]]);
  assert.deepEqual(marked("@bob", ""), []);
  assert.equal(marked("@a ".repeat(500)).length, 50);
});
