import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  columnsOf,
  dragEdge,
  dragHalves,
  evenOut,
  isWidened,
  moveColumn,
  placeBelow,
  trackSizes,
  upperFor,
  upperOf,
  upperShare,
  widthOf,
} from "../../static/chat/model/columns.js";
import { changeOf, Layout } from "../../static/chat/model/layout.js";
import { applyChange, mergePanes, without } from "../../static/chat/model/pane_sets.js";

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
  assert.equal(moveColumn(layout, "7", -1), true);
  assert.deepEqual(layout.order, ["1", "7", "3"]);
  assert.equal(moveColumn(layout, "1", -1), false);
  assert.equal(moveColumn(layout, "9", 1), false);
  layout.moveTo("1", 99);
  assert.deepEqual(layout.order, ["7", "3", "1"]);
});

test("one pane is wide, and only while it is open", () => {
  layout.wide = "7";
  assert.equal(layout.address, "/?rooms=1,3,7&wide=7");
  layout.remove("7");
  assert.equal(layout.address, "/?rooms=1,3");
  assert.equal(layout.wide, null);
});

const shown = () => columnsOf(layout).map(({ rooms }) => rooms.join("/"));

test("a pane stands in the lower half of a column until one of the two leaves it", () => {
  assert.equal(upperFor(layout, "7"), "3");
  placeBelow(layout, "7", "3");
  assert.deepEqual(shown(), ["1", "3/7"]);
  assert.equal(layout.address, "/?rooms=1,3,7&shape=7-below");
  // A third one does not fit, and a column moves as a whole beside others.
  assert.equal(upperFor(layout, "1"), undefined);
  assert.equal(moveColumn(layout, "1", 1), true);
  assert.deepEqual(shown(), ["3/7", "1"]);
  moveColumn(layout, "7", -1);
  assert.deepEqual(shown(), ["7", "3", "1"]);
  placeBelow(layout, "1", "7");
  assert.deepEqual(shown(), ["7/1", "3"]);
  layout.remove("7");
  assert.deepEqual(shown(), ["1", "3"]);
  assert.deepEqual(layout.shapes, {});
});

test("the lower half of a column has a height until it leaves the column", () => {
  placeBelow(layout, "3", "1");
  assert.equal(upperShare(columnsOf(layout)[0]), 0.5);
  layout.changeShape("3", { height: 130 });
  assert.equal(upperShare(columnsOf(layout)[0]), 0.35);
  assert.equal(layout.address, "/?rooms=1,3,7&shape=3-below,3-h130");
  // A window that is too low shows columns, and the height is kept.
  assert.equal(upperShare(columnsOf(layout, false)[1]), 0.5);
  moveColumn(layout, "3", 1);
  assert.deepEqual(layout.shapes, {});
  placeBelow(layout, "7", "3");
  layout.changeShape("7", { height: 60 });
  layout.remove("3");
  assert.deepEqual(layout.shapes, {});
  // Pages of an earlier version may have left one.
  layout.shapes = { 1: { height: 60 } };
  assert.equal(upperShare(columnsOf(layout)[0]), 0.5);
});

test("the halves of a column together stay as high as they are, and none gets too low", () => {
  const px = { upper: 400, lower: 400 };
  assert.equal(dragHalves(px, 250, 40), 90);
  assert.equal(dragHalves(px, 250, -40), 110);
  assert.equal(dragHalves(px, 250, 900), 63);
  assert.equal(dragHalves(px, 250, -900), 138);
  // Where they are as low as they can be, they stay equal. The server takes no value beyond its limits.
  assert.equal(dragHalves({ upper: 200, lower: 200 }, 250, 90), 100);
  assert.equal(dragHalves({ upper: 2000, lower: 2000 }, 250, 9000), 20);
  assert.equal(dragHalves({ upper: 2000, lower: 2000 }, 250, -9000), 180);
});

test("moving the upper pane of a column leaves the lower one a column", () => {
  placeBelow(layout, "3", "1");
  moveColumn(layout, "1", 1);
  assert.deepEqual(shown(), ["3", "1", "7"]);
  placeBelow(layout, "1", "3");
  // Nothing joins a strip, and no pane of another column joins this one when its neighbour is closed.
  layout.changeShape("7", { strip: true });
  assert.equal(upperFor(layout, "7"), undefined);
  layout.remove("3");
  assert.deepEqual(shown(), ["1", "7"]);
});

test("a pane alone is no strip, and what is widened is the column", () => {
  layout.changeShape("1", { strip: true });
  layout.remove("3");
  layout.remove("7");
  assert.equal(columnsOf(layout)[0].isStrip, false);
  layout.add("3");
  layout.add("7");
  assert.equal(columnsOf(layout)[0].isStrip, true);
  layout.wide = "7";
  placeBelow(layout, "7", "3");
  assert.equal(layout.wide, null);
  layout.wide = "3";
  assert.ok(isWidened(layout, "7"));
  assert.equal(upperOf(layout, "7"), "3");
});

test("what stood below a pane that is left out gets its column", () => {
  const shapes = { b: { below: true, height: 60, width: 120 }, c: { below: true, height: 60 } };
  assert.deepEqual(without(panes("abc", null, shapes), new Set(["a"])).shapes, {
    b: { width: 120 },
    c: { below: true, height: 60 },
  });
});

test("in a low window every pane is a column", () => {
  placeBelow(layout, "3", "1");
  assert.equal(columnsOf(layout, false).length, 3);
});

test("the sum of two columns stays when their edge is dragged, and none gets too narrow", () => {
  const px = { left: 400, right: 400 };
  assert.deepEqual(dragEdge(px, { left: 100, right: 100 }, 40), { left: 110, right: 90 });
  assert.deepEqual(dragEdge(px, { left: 100, right: 100 }, 900), { left: 130, right: 70 });
  assert.deepEqual(dragEdge(px, { left: 100, right: 100 }, -900), { left: 70, right: 130 });
  // In a row that is full, they are as narrow as they can be.
  assert.deepEqual(dragEdge({ left: 280, right: 280 }, { left: 100, right: 100 }, 50), {
    left: 100,
    right: 100,
  });
  assert.equal(widthOf(280), 100);
  assert.equal(widthOf(560), 220);
});

test("the sizes of columns: even ones share what is free, a strip has its width", () => {
  layout.changeShape("3", { strip: true });
  layout.wide = "7";
  assert.equal(
    trackSizes(columnsOf(layout)),
    "minmax(min(280px, 100%), 100fr) 44px minmax(min(560px, 100%), 220fr)",
  );
  evenOut(layout);
  assert.deepEqual(
    columnsOf(layout).map(({ width, isStrip }) => [width, isStrip]),
    [
      [100, false],
      [100, true],
      [100, false],
    ],
  );
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

const panes = (order, wide = null, shapes = {}) => ({ order: [...order], wide, shapes });

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

test("a change names the shapes that changed, and an even column by its room alone", () => {
  const strip = { a: { strip: true } };
  const wider = { b: { width: 130 } };
  assert.deepEqual(changeOf(panes("ab", null, strip), panes("ab", null, wider)), {
    put: [],
    close: [],
    shapes: [{ room: "a" }, { room: "b", width: 130 }],
  });
  assert.equal(changeOf(panes("ab", null, strip), panes("ab", null, strip)), null);
  const lower = (height) => panes("ab", null, { b: { below: true, height } });
  assert.deepEqual(changeOf(lower(60), lower(70)), {
    ...{ put: [], close: [] },
    shapes: [{ room: "b", below: true, height: 70 }],
  });
  // The shape of a pane that is closed goes with it.
  assert.deepEqual(changeOf(panes("ab", null, strip), panes("b")), { put: [], close: ["a"] });
  assert.deepEqual(applyChange(panes("ab", null, strip), { put: [], close: ["a"] }).shapes, {});
});

test("what two windows changed in the same set is merged", () => {
  const base = { order: ["1", "3", "7"], wide: "3", shapes: { 1: { strip: true } } };
  const own = { order: ["1", "3", "9"], wide: "9", shapes: { 3: { strip: true } } };
  const theirs = { order: ["7", "1", "5"], wide: null, shapes: { 5: { width: 130 } } };
  assert.deepEqual(mergePanes(base, own, theirs), {
    ...{ order: ["1", "5", "9"], wide: "9" },
    shapes: { 5: { width: 130 } },
  });
  assert.deepEqual(mergePanes(base, base, theirs), theirs);
  assert.deepEqual(mergePanes(base, theirs, base), theirs);
});
