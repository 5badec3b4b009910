import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { addressOf, hostOf, shorten } from "../../static/chat/model/links.js";
import { countLines, textOf, typeset } from "../../static/chat/model/typeset.js";

const CASES = JSON.parse(readFileSync(new URL("../typeset.json", import.meta.url), "utf8"));
/** Letters, spaces, signs that mark nothing, and some from right to left. Never a mark, and no digit before a dot. */
const LETTERS = [..."abc XYZ  \n\n\t,.!?;'\"()&%$#=/{}^äß你好שלוم👍\u0301\u202e\u2069<\r\u2028"];
const SIGNS = [..."ab *_`~[]()<>|-+.12:/@\\ \n!#>שhttps://a.b"];
const SIZE = 32 * 1024;

/** A sequence that is the same in each run. @param {number} seed */
function* numbers(seed) {
  let state = seed;
  while (true) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

const random = numbers(7);
const below = (count) => Math.floor(random.next().value * count);
const textFrom = (letters, length) =>
  Array.from({ length }, () => letters[below(letters.length)]).join("");

const shownText = (blocks) =>
  blocks
    .map((block) => {
      if (block.kind === "paragraph") return textOf(block.nodes);
      if (block.kind === "quote") return shownText(block.blocks);
      return block.kind === "list"
        ? block.items.map((item) => shownText(item.blocks)).join("")
        : block.text;
    })
    .join("");

test("each text of the table becomes its nodes", () => {
  assert.ok(CASES.length >= 200);
  for (const { text, blocks } of CASES) assert.deepEqual(typeset(text), blocks, text);
});

test("a text without marks is shown exactly as typed", () => {
  for (let round = 0; round < 2_000; round += 1) {
    const text = textFrom(LETTERS, below(60));
    assert.equal(shownText(typeset(text)), text);
  }
});

test("any signs become nodes that contain nothing but what was typed, in its order", () => {
  for (let round = 0; round < 5_000; round += 1) {
    const text = textFrom(SIGNS, below(80));
    let at = -1;
    for (const letter of shownText(typeset(text))) {
      at = text.indexOf(letter, at + 1);
      assert.notEqual(at, -1, JSON.stringify(text));
    }
  }
});

test("no text takes long: with too many signs or lines it stays as typed", () => {
  const hostile = [
    ..."[*_`<>~|(@-".split("").map((sign) => sign.repeat(SIZE)),
    ..."[a](,*a ,a* ,**a *b _c ,~~a,`a,http://,http://a.b ,a@b.cd ,a@,> ,>\n,- a\n,1. a\n,- ,```\n,|\n|-\n,\\*"
      .split(",")
      .map((part) => part.repeat(SIZE / part.length)),
    "[".repeat(10_000),
    Array.from({ length: 255 }, (_, depth) => `${">".repeat(depth)}a`).join("\n"),
    Array.from({ length: 255 }, (_, depth) => `${" ".repeat(depth)}- a`).join("\n"),
    Array.from({ length: 255 }, (_, length) => `${"`".repeat(length)}a`).join(""),
    "@a ".repeat(SIZE / 3),
    "*_~".repeat(SIZE / 3),
    "**_a_ ~~b~~ ".repeat(SIZE / 12),
    "_*_~~".repeat(SIZE / 5),
    "`".repeat(10_000),
    Array.from(
      { length: 2_000 },
      (_, depth) => `${"  ".repeat(depth % 8)}${depth % 2 ? "-" : "1."} a`,
    ).join("\n"),
    `${"> ".repeat(SIZE / 2)}a`,
    `(http://a.b/${"()".repeat(SIZE / 2)})`,
    `http://a.b/${")".repeat(30_000)}`,
    `[a](http://a.b/${"(".repeat(30_000)})`,
    `${"*a ".repeat(SIZE / 6)}${"b* ".repeat(SIZE / 6)}`,
    `http://a.b/${"(".repeat(SIZE)}`,
  ];
  for (const text of hostile) {
    // The best of some: this machine does other work too. Quadratic code takes hundreds of milliseconds.
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5; round += 1) {
      const start = performance.now();
      typeset(text);
      best = Math.min(best, performance.now() - start);
    }
    assert.ok(best < 10, `${best} ms for ${JSON.stringify(text.slice(0, 20))}…`);
  }
  assert.deepEqual(typeset("*a* ".repeat(8_000)), [
    { kind: "paragraph", nodes: ["*a* ".repeat(8_000)] },
  ]);
});

test("a long address keeps its host and its end in view", () => {
  const address = `https://grafana.ops.example.com/d/${"dashboard/".repeat(8)}panel?from=now-6h`;
  const shown = shorten(address);
  assert.ok(shown.length < 60 && shown.startsWith("https://grafana.ops.example.com/"), shown);
  assert.ok(shown.includes("…") && shown.endsWith("?from=now-6h"), shown);
  const host = `https://${"long.".repeat(20)}example/`;
  assert.ok(shorten(`${host}${"x".repeat(90)}`).startsWith(host));
  assert.equal(shorten("https://a.example/short"), "https://a.example/short");
});

test("only http, https and mailto are followed, to the host that is shown", () => {
  for (const typed of ["javascript:hit()", "https://a@b.example", "ftp://a", "//a.b", "x", ""])
    assert.equal(addressOf(typed), null, typed);
  assert.equal(addressOf("bob@a.example"), "mailto:bob@a.example");
  assert.equal(hostOf("https://A.example:8000/x"), "a.example:8000");
  assert.equal(hostOf("mailto:bob@a.example"), "a.example");
});

test("the lines of a text are counted as a pane would wrap them", () => {
  assert.equal(countLines(typeset("a\nb\nc")), 3);
  assert.equal(countLines(typeset("word ".repeat(160))), 10);
  assert.equal(countLines(typeset(`\`\`\`\n${"x".repeat(400)}\ny\n\`\`\``)), 2);
  assert.equal(countLines(typeset("> a\n> b\n\n- c\n- d\n  - e")), 5);
});
