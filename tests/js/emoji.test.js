import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EmojiData, withRecent } from "../../static/chat/model/emoji.js";

const FILE = new URL("../../static/chat/emoji.json", import.meta.url);
const data = new EmojiData(JSON.parse(readFileSync(FILE, "utf8")));
const found = (text, most = 5) => data.search(text, most).map(({ emoji }) => emoji);

test("a short name that begins like the text is found first, the shortest name before longer ones", () => {
  for (const [text, emoji] of [
    ["+1", "👍"],
    ["tada", "🎉"],
    ["heart", "❤️"],
    ["thumbs_up", "👍"],
    ["SMILE", "😄"],
  ])
    assert.equal(found(text)[0], emoji, text);
  assert.equal(data.search("smil", 1)[0].shortNames[0], "smile");
});

test("every part of the text has to begin a word of the emoji's names", () => {
  assert.ok(found("party", 50).includes("🎉"));
  assert.ok(found("red hea", 50).includes("❤️") && !found("red hea", 50).includes("💙"));
  assert.deepEqual(found("red qqq"), []);
  for (const text of ["", "  ", "_", "constructor("]) assert.deepEqual(found(text), [], text);
});

test("no more emoji are found than asked for, each once", () => {
  const many = found("face", 40);
  assert.equal(many.length, 40);
  assert.equal(new Set(many).size, 40);
});

test("German names and words find emoji, and the English short names too", () => {
  const german = new EmojiData(JSON.parse(readFileSync(new URL("emoji.de.json", FILE), "utf8")));
  const first = (text) => german.search(text, 50).map(({ emoji }) => emoji);
  assert.ok(first("konfetti").includes("🎉"));
  assert.equal(first("tada")[0], "🎉");
  assert.equal(german.named(["👍"])[0].name, "Daumen hoch");
  const all = (file) => file.groups.flatMap(({ emoji }) => emoji.map((item) => item.emoji));
  assert.deepEqual(all(german), all(data));
});

test("all emoji differ, and each has a name and a short name", () => {
  const all = data.groups.flatMap(({ emoji }) => emoji);
  assert.ok(all.length > 1500);
  assert.equal(new Set(all.map(({ emoji }) => emoji)).size, all.length);
  for (const { emoji, name, shortNames } of all) assert.ok(name && shortNames[0], emoji);
});

test("emoji that were chosen come first next time, each once, and unknown ones are left out", () => {
  assert.deepEqual(withRecent(["a", "b"], "b"), ["b", "a"]);
  let recent = [];
  for (let count = 0; count < 100; count += 1) recent = withRecent(recent, String(count));
  assert.equal(recent.length, 24);
  assert.equal(recent[0], "99");
  assert.deepEqual(
    data.named(["🎉", "nothing", "👍"]).map(({ emoji }) => emoji),
    ["🎉", "👍"],
  );
});
