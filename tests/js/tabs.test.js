import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Tabs } from "../../static/chat/model/tabs.js";

let held;
let session;

/** Web Locks, as far as Tabs uses them. */
const locks = {
  request: async (name, { ifAvailable, signal }, callback) => {
    if (held.has(name) && ifAvailable) return callback(null);
    if (held.has(name))
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
    held.add(name);
    const result = await callback({});
    held.delete(name);
    return result;
  },
};

beforeEach(() => {
  held = new Set();
  const items = new Map();
  session = { getItem: (key) => items.get(key) ?? null, setItem: (k, v) => items.set(k, v) };
});

test("a tab is closed when its lock is free", async () => {
  const first = new Tabs(locks, () => session);
  const second = new Tabs(locks, () => null);
  assert.equal(await second.isClosed(first.id), false);
  held.delete(`multichat.tab.${first.id}`);
  assert.equal(await second.isClosed(first.id), true);
  assert.equal(await second.isClosed(second.id), false);
});

test("a page knows its id before a reload, and a duplicated tab does not count the original as closed", async () => {
  const first = new Tabs(locks, () => session);
  const second = new Tabs(locks, () => session);
  assert.equal(second.previous, first.id);
  const awake = setTimeout(() => {}, 60_000); // the abort signal's own timer does not keep the process alive
  assert.equal(await second.isClosed(first.id), false); // after a moment, because it is a duplicate
  clearTimeout(awake);
  held.delete(`multichat.tab.${first.id}`);
  assert.equal(await second.isClosed(first.id), true);
});

test("without locks, or if they are refused, only the page before a reload is closed", async () => {
  const first = new Tabs(undefined, () => session);
  const second = new Tabs(undefined, () => session);
  assert.equal(await second.isClosed(first.id), true);
  assert.equal(await second.isClosed("another"), false);
  const refused = { request: () => Promise.reject(new DOMException("", "InvalidStateError")) };
  assert.equal(await new Tabs(refused, () => null).isClosed("another"), false);
});
