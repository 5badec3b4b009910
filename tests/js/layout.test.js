import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { chord } from "../../static/chat/keys.js";
import { Layout } from "../../static/chat/layout.js";

let layout;

beforeEach(() => {
  layout = new Layout();
  for (const room of ["1", "3", "7", "3"]) layout.add(room);
});

test("panes stand in the order in which they were opened, each once", () => {
  assert.equal(layout.address, "/?rooms=1,3,7");
  assert.equal(new Layout().address, "/");
});

test("a pane is moved by one, and never beyond the ends", () => {
  assert.equal(layout.move("7", -1), true);
  assert.deepEqual(layout.order, ["1", "7", "3"]);
  assert.equal(layout.move("1", -1), false);
  assert.equal(layout.move("9", 1), false);
  layout.put("1", 99);
  assert.deepEqual(layout.order, ["7", "3", "1"]);
});

test("one pane is wide, and stays so only while it is open", () => {
  layout.toggleWide("3");
  layout.toggleWide("7");
  assert.equal(layout.address, "/?rooms=1,3,7&wide=7");
  layout.remove("7");
  assert.equal(layout.address, "/?rooms=1,3");
  layout.toggleWide("3");
  layout.toggleWide("3");
  assert.equal(layout.wide, null);
});

test("keys are those with Alt and Shift alone, and not while words are selected", () => {
  const keys = { key: "ArrowLeft", altKey: true, shiftKey: true, ctrlKey: false, metaKey: false };
  assert.equal(chord(keys, false), "Alt+Shift+ArrowLeft");
  assert.equal(chord({ ...keys, ctrlKey: true }, false), "");
  assert.equal(chord({ ...keys, altKey: false }, false), "");
  assert.equal(chord(keys, true), "");
});
