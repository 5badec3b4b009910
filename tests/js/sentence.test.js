import assert from "node:assert/strict";
import { test } from "node:test";
import { nodesOf } from "../../static/chat/dom/sentence.js";

test("elements stand where the sentence of each language has them", () => {
  const elements = { author: ["<b>"], text: ["<bdi>"] };
  assert.equal(nodesOf("Reply to {author}: {text}", elements).join(""), "Reply to <b>: <bdi>");
  assert.equal(nodesOf("{text} – {author}", elements).join(""), "<bdi> – <b>");
});

test("a name without elements leaves nothing, and a place may have several", () => {
  assert.equal(nodesOf("in {rooms}{other}", { rooms: ["a", ", ", "b"] }).join(""), "in a, b");
});
