import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { guardLength } from "../../static/chat/dom/length_guard.js";

let box;
let refused;

class Box extends EventTarget {
  value = "";
  selectionStart = 0;
  selectionEnd = 0;

  /** Change the text in a way that names no inserted text before. */
  change(value) {
    this.dispatchEvent(new Event("beforeinput"));
    this.value = value;
    this.dispatchEvent(new Event("input"));
  }
}

beforeEach(() => {
  box = new Box();
  refused = [];
  guardLength(box, { maxLength: 5, onrefused: (text) => refused.push(text) });
});

test("a text that gets too long is refused, and the text before it stays", () => {
  box.change("four");
  box.change("four and more");
  assert.deepEqual([box.value, refused], ["four", ["four and more"]]);
});

test("a text that is already too long can get shorter, but not longer", () => {
  box.value = "a draft";
  box.change("a draf");
  assert.deepEqual([box.value, refused], ["a draf", []]);
  box.change("a draft of more");
  assert.deepEqual([box.value, refused], ["a draf", ["a draft of more"]]);
  box.change("a dr");
  assert.deepEqual([box.value, refused.length], ["a dr", 1]);
});
