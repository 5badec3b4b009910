import assert from "node:assert/strict";
import { test } from "node:test";
import { HUES, hueOf } from "../../static/chat/dom/templates.js";

const distance = (a, b) => Math.min(Math.abs(a - b), 360 - Math.abs(a - b));

test("as many rooms as there are hues get different hues, neighbours by their number far apart", () => {
  for (const first of [1, 2, 5_000_000_007]) {
    const hues = HUES.map((_, i) => hueOf(first + i));
    assert.deepEqual(new Set(hues), new Set(HUES));
    for (let i = 1; i < hues.length; i += 1)
      assert.ok(distance(hues[i], hues[i - 1]) >= 75, `${hues[i - 1]} beside ${hues[i]}`);
  }
});

test("no hue is as red as an alert", () => {
  for (const hue of HUES) assert.ok(distance(hue, 26) > 20, String(hue));
});
