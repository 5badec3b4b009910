import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** As much of a browser as a part that is loaded later meets: the focus, keys, and the head of the document. */
const listeners = new Set();
const links = [];
class HTMLTemplateElement {
  get content() {
    return { firstElementChild: Object.assign(new EventTarget(), { remove() {} }) };
  }
}
const document = {
  activeElement: "button",
  getElementById: () => new HTMLTemplateElement(),
  importNode: (content) => content,
  head: { append: (link) => links.push(link) },
};
Object.assign(globalThis, {
  ...{ document, HTMLTemplateElement },
  addEventListener: (_, listener) => listeners.add(listener),
  removeEventListener: (_, listener) => listeners.delete(listener),
});
const { LazyPart } = await import("../../static/chat/dom/lazy_part.js");

const press = (event = { repeat: false }) => {
  for (const listener of listeners) listener(event);
};
/** A part whose load the test ends, and what became of it. */
const setUp = () => {
  const loads = [];
  const happened = [];
  const part = new LazyPart(
    () =>
      new Promise((resolve, reject) => {
        loads.push({ resolve, reject });
      }),
    () => happened.push("failed"),
  );
  return { part, loads, happened, use: () => part.use((loaded) => happened.push(loaded)) };
};

beforeEach(() => {
  document.activeElement = "button";
  links.at(-1)?.dispatchEvent(new Event("load"));
});

test("a part is loaded once, with one style sheet for all parts, and used after that at once", async () => {
  const { loads, happened, use } = setUp();
  const uses = [use(), use()];
  loads[0].resolve("part");
  for (const link of links) link.dispatchEvent(new Event("load"));
  await Promise.all(uses);
  await use();
  assert.equal(loads.length, 1);
  assert.equal(links.length, 1);
  assert.deepEqual(happened, ["part", "part", "part"]);
  assert.equal(listeners.size, 0);
});

test("a load that failed says so, and the next use tries again", async () => {
  const { loads, happened, use } = setUp();
  const first = use();
  loads[0].reject(new Error("away"));
  await first;
  const second = use();
  loads[1].resolve("part");
  await second;
  assert.deepEqual(happened, ["failed", "part"]);
});

test("an error of what uses the part is not taken for a failed load", async () => {
  const { part, loads, happened } = setUp();
  const using = part.use(() => {
    throw new Error("ours");
  });
  loads[0].resolve("part");
  await assert.rejects(using, /ours/);
  assert.deepEqual(happened, []);
});

test("nothing opens when the user typed, moved the focus or lost the rooms meanwhile", async () => {
  const meanwhile = [
    () => press(),
    () => {
      document.activeElement = "box";
    },
    () => LazyPart.cancelAll(),
  ];
  for (const act of meanwhile) {
    const { loads, happened, use } = setUp();
    const using = use();
    act();
    loads[0].resolve("part");
    await using;
    assert.deepEqual(happened, [], String(act));
    await use();
    assert.deepEqual(happened, ["part"], "the next use opens it");
  }
});

test("the key that is still held down does not count", async () => {
  const { loads, happened, use } = setUp();
  const using = use();
  press({ repeat: true });
  loads[0].resolve("part");
  await using;
  assert.deepEqual(happened, ["part"]);
});
