import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { excerpt, foldWords, markHits, search, termsOf } from "../../static/chat/model/search.js";

/** @param {string} text @param {string} query */
function hits(text, query) {
  return markHits(text, termsOf(query))
    .filter(({ isHit }) => isHit)
    .map(({ text: hit }) => hit);
}

test("the words of a query are found without regard to case and accents", () => {
  assert.deepEqual(hits("The deployment failed", "PLOY fail"), ["ploy", "fail"]);
  assert.deepEqual(hits("Déjà vu", "deja"), ["Déjà"]);
  assert.deepEqual(hits("De\u0301ja\u0300 vu", "déjà"), ["De\u0301ja\u0300"]);
  assert.deepEqual(hits("Straße", "strasse"), ["Straße"]);
  assert.deepEqual(hits("東京の温度は", "温度"), ["温度"]);
  assert.deepEqual(hits("disk, Disk", "disk"), ["disk", "Disk"]);
  assert.deepEqual(hits("nothing here", "disk"), []);
  assert.deepEqual(hits("Łódź, Đà Nẵng", "lodz nang"), ["Łódź", "Nẵng"]);
  assert.deepEqual(hits("Ὀδυσσεύς", "οδυσσευσ"), ["Ὀδυσσεύς"]);
  assert.deepEqual(hits("it doesn’t", "doesn't"), ["doesn’t"]);
  assert.deepEqual(hits("disk full now", "“disk full”"), ["disk full"]);
  assert.deepEqual(hits("Berlin–München", "berlin-münchen"), ["Berlin–München"]);
  assert.deepEqual(hits("Donau\u00addampf", "donaudampf"), ["Donau\u00addampf"]);
  assert.deepEqual(hits("كِتَابٌ", "كتاب"), ["كِتَابٌ"]);
  assert.deepEqual(hits("ガラス", "カラス"), []);
});

/** The same texts that tests/test_search.py reads. */
const FOLDED = JSON.parse(readFileSync(new URL("../folded.json", import.meta.url), "utf8"));

test("letters and signs are folded as on the server, and the whole text is marked", () => {
  for (const [text, folded] of [...FOLDED.letters, ...FOLDED.signs]) {
    assert.equal(foldWords(text).normalize("NFC"), folded);
    assert.deepEqual(markHits(text, [folded]), [{ text, isHit: true }], text);
  }
});

test("the parts together are the text", () => {
  for (const text of [
    "",
    "a",
    "Straße 12",
    "De\u0301ja\u0300",
    "👩‍👩‍👧 İstanbul ﬁne",
    "x".repeat(50),
  ])
    assert.equal(
      markHits(text, ["x", "ss", "i", "e"])
        .map((part) => part.text)
        .join(""),
      text,
    );
});

test("filters are no words", () => {
  assert.deepEqual(termsOf('disk from:bob in:"Support desk" "two words" has:link 12:30'), [
    "disk",
    "two words",
    "12:30",
  ]);
});

test("an excerpt shows the first hit", () => {
  const text = `${"a ".repeat(200)}needle${" b".repeat(200)}`;
  const shown = excerpt(text, ["needle"], 60);
  assert.ok(shown.includes("needle") && shown.startsWith("…") && shown.endsWith("…"));
  assert.equal(excerpt("short", ["x"], 60), "short");
});

test("a refusal is a sentence, and so is a server that is away", async (t) => {
  const answer = (/** @type {number} */ status, /** @type {unknown} */ body) =>
    t.mock.method(globalThis, "fetch", async () => Response.json(body, { status }));
  answer(200, { results: [{ seq: 1 }], cursor: "7" });
  assert.deepEqual(await search("x", { sort: "newest" }), {
    results: [{ seq: 1 }],
    cursor: "7",
    trouble: "",
  });
  answer(400, { detail: "Search for at least two letters." });
  assert.equal((await search("x", { sort: "newest" })).trouble, "Search for at least two letters.");
  t.mock.method(globalThis, "fetch", async () => {
    throw new TypeError("offline");
  });
  assert.match((await search("x", { sort: "newest" })).trouble, /isn't responding/);
});
