import assert from "node:assert/strict";
import { test } from "node:test";
import { Preferences } from "../../static/chat/model/preferences.js";
import { Store } from "./store.js";

test("a setting has its default until the user changes it, and is kept for that user", () => {
  const store = new Store();
  const bob = new Preferences(7, store);
  assert.equal(bob.get("clickCloses"), false);
  assert.equal(store.length, 0);
  bob.set("clickCloses", true);
  assert.equal(new Preferences(7, store).get("clickCloses"), true);
  assert.equal(new Preferences(8, store).get("clickCloses"), false);
});

test("a stored value of another type counts as unset", () => {
  const store = new Store();
  for (const text of ["{", '"yes"', "null", "1"]) {
    store.setItem("multichat.preference.7.clickCloses", text);
    assert.equal(new Preferences(7, store).get("clickCloses"), false, text);
  }
  store.setItem("multichat.preference.7.shortcuts", "[]");
  assert.deepEqual(new Preferences(7, store).get("shortcuts"), {});
});

test("a listener is called at once and at each change, in another tab too", () => {
  const store = new Store();
  const [here, there] = [new Preferences(7, store), new Preferences(7, store)];
  const seen = [];
  there.follow("clickCloses", () => seen.push(there.get("clickCloses")));
  here.set("clickCloses", true);
  there.storageChanged("multichat.preference.7.clickCloses");
  there.storageChanged("multichat.preference.7.shortcuts");
  there.storageChanged("multichat.preference.70.clickCloses");
  assert.deepEqual(seen, [false, true]);
  store.removeItem("multichat.preference.7.clickCloses");
  there.storageChanged(null);
  assert.deepEqual(seen, [false, true, false]);
});

test("a setting that the storage refuses holds as long as the page is open", () => {
  const store = new Store();
  store.setItem = () => {
    throw new Error("full");
  };
  const bob = new Preferences(7, store);
  bob.set("clickCloses", true);
  assert.equal(bob.get("clickCloses"), true);
});
