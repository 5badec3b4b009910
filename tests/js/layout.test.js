import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { changeOf, Layout } from "../../static/chat/model/layout.js";
import { mergePanes } from "../../static/chat/model/pane_sets.js";

let layout;

beforeEach(() => {
  layout = new Layout();
  for (const room of ["1", "3", "7", "3"]) layout.add(room);
});

test("panes are in the order in which they were opened, each once", () => {
  assert.equal(layout.address, "/?rooms=1,3,7");
  assert.equal(new Layout().address, "/");
});

test("a pane is moved by one, and never beyond the ends", () => {
  assert.equal(layout.moveBy("7", -1), true);
  assert.deepEqual(layout.order, ["1", "7", "3"]);
  assert.equal(layout.moveBy("1", -1), false);
  assert.equal(layout.moveBy("9", 1), false);
  layout.moveTo("1", 99);
  assert.deepEqual(layout.order, ["7", "3", "1"]);
});

test("one pane is wide, and only while it is open", () => {
  layout.toggleWide("3");
  layout.toggleWide("7");
  assert.equal(layout.address, "/?rooms=1,3,7&wide=7");
  layout.remove("7");
  assert.equal(layout.address, "/?rooms=1,3");
  layout.toggleWide("3");
  layout.toggleWide("3");
  assert.equal(layout.wide, null);
});

test("a provisional pane is in the row, but neither saved nor in the address", () => {
  layout.peek = "7";
  assert.deepEqual(layout.order, ["1", "3", "7"]);
  assert.equal(layout.address, "/?rooms=1,3");
  assert.deepEqual(layout.panes.order, ["1", "3"]);
  layout.remove("7");
  assert.equal(layout.peek, null);
});

/** Applies a change as the server does in chat/store/layouts.py. */
function apply({ put, close }, saved) {
  const order = saved.filter((room) => !close.includes(room));
  for (const { room, after, before } of put) {
    if (order.includes(room)) order.splice(order.indexOf(room), 1);
    let at = order.length;
    if (order.includes(before)) at = order.indexOf(before);
    else if (order.includes(after)) at = order.indexOf(after) + 1;
    order.splice(at, 0, room);
  }
  return order;
}

const panes = (order, wide = null) => ({ order: [...order], wide });

test("a change turns one layout into the other", () => {
  const all = ["", "a", "ab", "ba", "abc", "cab", "bca", "abcd", "dcba", "xab", "axb", "bxya"];
  for (const before of all)
    for (const after of all) {
      const change = changeOf(panes(before), panes(after));
      assert.equal(change === null, before === after);
      if (change) assert.equal(apply(change, [...before]).join(""), after, `${before} → ${after}`);
    }
});

test("a change keeps what other pages have saved", () => {
  const opened = changeOf(panes("d"), panes("de"));
  assert.equal(apply(opened, [..."abc"]).join(""), "abce");
  const closed = changeOf(panes("ab"), panes("a"));
  assert.equal(apply(closed, [..."abxy"]).join(""), "axy");
});

test("a change names the wide pane if it changed", () => {
  assert.deepEqual(changeOf(panes("ab"), panes("ab", "a")), { put: [], close: [], wide: "a" });
  assert.deepEqual(changeOf(panes("ab", "a"), panes("ab", "b")), { put: [], close: [], wide: "b" });
  assert.deepEqual(changeOf(panes("ab", "a"), panes("ab")), { put: [], close: [], narrow: "a" });
  assert.equal(changeOf(panes("ab", "a"), panes("ab", "a")), null);
});

test("what two windows changed in the same set is merged", () => {
  const base = { order: ["1", "3", "7"], wide: "3" };
  const own = { order: ["1", "3", "9"], wide: "9" };
  const theirs = { order: ["7", "1", "5"], wide: null };
  assert.deepEqual(mergePanes(base, own, theirs), { order: ["1", "5", "9"], wide: "9" });
  assert.deepEqual(mergePanes(base, base, theirs), theirs);
  assert.deepEqual(mergePanes(base, theirs, base), theirs);
});
