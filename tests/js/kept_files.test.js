import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT_FILES } from "../../static/chat/model/files.js";
import { KeptFiles } from "../../static/chat/model/kept_files.js";
import { Store } from "./store.js";

const FACTS = { id: "1c0e4f52-93a0-4a3e-8c6b-0f5d8a7be9d1", name: "a.txt", type: "x", size: 4 };
/** A tab to which the tabs with these ids are still open. */
const tab = (id, ...open) => ({ id, isClosed: async (other) => !open.includes(other) });

test("files survive a reload until they are sent, and names of lost files are shown once", async () => {
  const store = new Store();
  const before = await KeptFiles.open(7, tab("a"), store);
  before.save("1", { files: [FACTS], lost: ["slow.bin"] });
  before.save("2", { files: [], lost: ["other.bin"] });
  const after = await KeptFiles.open(7, tab("b"), store);
  assert.deepEqual(after.take("1"), { files: [FACTS], lost: ["slow.bin"] });
  const again = await KeptFiles.open(7, tab("c"), store);
  assert.deepEqual(again.take("1"), { files: [FACTS], lost: [] });
  assert.deepEqual(after.take("2"), { files: [], lost: ["other.bin"] });
  assert.equal(after.take("3"), undefined);
  after.save("1", { files: [], lost: [] });
  assert.equal(store.getItem(KEPT_FILES), null, "nothing stays when nothing waits");
});

test("after signing out a tab keeps nothing, also of rooms that were not opened", async () => {
  const store = new Store();
  (await KeptFiles.open(7, tab("a"), store)).save("1", { files: [FACTS], lost: [] });
  const kept = await KeptFiles.open(7, tab("b"), store);
  kept.clear();
  assert.equal(store.getItem(KEPT_FILES), null);
  kept.save("2", { files: [FACTS], lost: [] });
  assert.equal((await KeptFiles.open(7, tab("c"), store)).take("1"), undefined);
});

test("a duplicated tab has none of the files, also after the original was closed", async () => {
  const store = new Store();
  (await KeptFiles.open(7, tab("a"), store)).save("1", { files: [FACTS], lost: [] });
  assert.equal((await KeptFiles.open(7, tab("b", "a"), store)).take("1"), undefined);
  assert.equal((await KeptFiles.open(7, tab("c"), store)).take("1"), undefined);
});

test("another user of the tab sees nothing of them, and damaged or missing storage is no error", async () => {
  const store = new Store();
  (await KeptFiles.open(7, tab("a"), store)).save("1", { files: [FACTS], lost: [] });
  assert.equal((await KeptFiles.open(8, tab("b"), store)).take("1"), undefined);
  for (const damaged of ["{", "[]", '{"user":7}', '{"user":7,"rooms":null}', "7"]) {
    store.setItem(KEPT_FILES, damaged);
    assert.equal((await KeptFiles.open(7, tab("b"), store)).take("1"), undefined);
  }
  const full = {
    ...{ length: 0, key: () => null, getItem: () => null, removeItem: () => {} },
    setItem: () => {
      throw new Error("full");
    },
  };
  (await KeptFiles.open(7, tab("a"), full)).save("1", { files: [FACTS], lost: [] });
});
