import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bestMatches, foldText, rank } from "../../static/chat/model/match.js";

const TITLES = [
  "Köln office",
  "Support · tier 2",
  "Incidents",
  "Staff",
  "Straße",
  "Øresund",
  "ops-alerts",
];
const found = (typed, most = 9) =>
  bestMatches(
    TITLES.map((title) => ({ title })),
    typed,
    most,
  ).map(({ title }) => title);

test("a title is found without regard to case and accents", () => {
  assert.deepEqual(found("koln"), ["Köln office"]);
  assert.deepEqual(found("KÖLN O"), ["Köln office"]);
  assert.deepEqual(found("strasse"), ["Straße"]);
  assert.deepEqual(found("ore"), ["Øresund"]);
});

test("letters are folded as in the search of messages", () => {
  const path = new URL("../folded.json", import.meta.url);
  for (const [text, folded] of JSON.parse(readFileSync(path, "utf8")).letters)
    assert.equal(foldText(text).normalize("NFC"), folded);
  // The sigma has another form at the end of a word, also while the word is being typed.
  assert.equal(rank("Κόσμος", "κοσ"), 1);
});

test("a title is found by the beginnings of its words, by its initials and by a part of a word", () => {
  assert.deepEqual(found("tier"), ["Support · tier 2"]);
  assert.deepEqual(found("office koln"), ["Köln office"]);
  assert.deepEqual(found("st2"), ["Support · tier 2"]);
  assert.deepEqual(found("oa"), ["ops-alerts"]);
  assert.deepEqual(found("lert"), ["ops-alerts"]);
  assert.deepEqual(found("xyz"), []);
});

test("the whole title comes first, then beginnings, then initials", () => {
  assert.deepEqual(found("st"), ["Staff", "Straße", "Support · tier 2"]);
  assert.ok(rank("Staff", "staff") < rank("Staff room", "staff"));
  assert.deepEqual(found("", 2), TITLES.slice(0, 2));
});

test("a title is found by what is typed after a #, as in a message", () => {
  for (const typed of ["koln", "KÖLN O", "tier", "st2", "oa", "lert", "st", "xyz"])
    for (const sign of ["#", "# ", "＃"])
      assert.deepEqual(found(sign + typed), found(typed), typed);
  assert.deepEqual(found("#", 2), TITLES.slice(0, 2));
  // It may also be a part of the title.
  assert.ok(rank("#inc", "#inc") < rank("inc room", "#inc"));
  assert.equal(rank("C#", "#"), 0);
  assert.equal(rank("C#", "c#"), 0);
});

test("a title of any characters is matched as text", () => {
  assert.equal(rank("(.*", ".*"), 4);
  assert.equal(rank("日本語", "日本"), 1);
  assert.equal(rank("✓", "✓"), 0);
});
