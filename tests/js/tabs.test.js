import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Tabs } from "../../static/chat/model/tabs.js";

let held;
let session;

/** Web Locks that are free or held, as far as tabs ask. */
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

test("a tab is gone when its lock is free", async () => {
  const one = new Tabs(locks, () => session);
  const two = new Tabs(locks, () => null);
  assert.equal(await two.isClosed(one.id), false);
  held.delete(`multichat.tab.${one.id}`);
  assert.equal(await two.isClosed(one.id), true);
  assert.equal(await two.isClosed(two.id), false);
});

test("a page knows the one before its reload, and a duplicated tab leaves the first alone", async () => {
  const one = new Tabs(locks, () => session);
  const two = new Tabs(locks, () => session);
  assert.equal(two.previous, one.id);
  const awake = setTimeout(() => {}, 60_000); // the abort signal's own timer keeps no process alive
  assert.equal(await two.isClosed(one.id), false); // after a moment: it is a duplicate
  clearTimeout(awake);
  held.delete(`multichat.tab.${one.id}`);
  assert.equal(await two.isClosed(one.id), true);
});

test("without locks, or when they are refused, only a reloaded page is gone", async () => {
  const one = new Tabs(undefined, () => session);
  const two = new Tabs(undefined, () => session);
  assert.equal(await two.isClosed(one.id), true);
  assert.equal(await two.isClosed("another"), false);
  const refused = { request: () => Promise.reject(new DOMException("", "InvalidStateError")) };
  assert.equal(await new Tabs(refused, () => null).isClosed("another"), false);
});
