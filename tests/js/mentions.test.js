import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isNamed } from "../../static/chat/model/mentions.js";

const CASES = JSON.parse(readFileSync(new URL("../mentions.json", import.meta.url), "utf8"));

test("mentions are found by the server's rule", () => {
  for (const { text, name, named } of CASES) assert.equal(isNamed(text, name), named, text);
  assert.equal(isNamed(null, "bob"), false);
});
