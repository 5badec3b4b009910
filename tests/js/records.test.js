import assert from "node:assert/strict";
import { test } from "node:test";
import { Records } from "../../static/chat/model/records.js";
import { Store } from "./store.js";

const parse = (text) => (text === "" ? null : JSON.parse(text));
const records = (store) => new Records("r.", store, { parse, isShared: false });

test("a record that was taken over from a closed page never replaces what that page stored later", () => {
  const store = new Store();
  const [closed, open] = [records(store), records(store)];
  closed.save("1", "one");
  open.loadAll();
  const read = store.getItem;
  store.getItem = () => null; // this page cannot read the storage for a while
  open.adopt("1");
  open.repairStorage(true);
  store.getItem = read;
  closed.save("1", "one two");
  open.repairStorage(true);
  assert.equal(store.getItem("r.1"), '"one two"');
  assert.equal(open.get("1"), "one two");
});

test("a record that was taken over is stored again when the storage was emptied", () => {
  const store = new Store();
  records(store).save("1", "one");
  const open = records(store);
  open.adopt("1");
  store.removeItem("r.1");
  open.repairStorage(true);
  assert.equal(store.getItem("r.1"), '"one"');
});
