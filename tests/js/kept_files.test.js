import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT_FILES } from "../../static/chat/model/files.js";
import { KeptFiles } from "../../static/chat/model/kept_files.js";
import { Store } from "./store.js";

const FACTS = { id: "1c0e4f52-93a0-4a3e-8c6b-0f5d8a7be9d1", name: "a.txt", type: "x", size: 4 };

test("files survive a reload until they are sent, and what was not uploaded is told once", () => {
  const store = new Store();
  const before = new KeptFiles(7, store);
  before.save("1", { files: [FACTS], lost: ["slow.bin"] });
  before.save("2", { files: [], lost: ["other.bin"] });
  const after = new KeptFiles(7, store);
  assert.deepEqual(after.take("1"), { files: [FACTS], lost: ["slow.bin"] });
  assert.deepEqual(new KeptFiles(7, store).take("1"), { files: [FACTS], lost: [] });
  assert.deepEqual(after.take("2"), { files: [], lost: ["other.bin"] });
  assert.equal(after.take("3"), undefined);
  after.save("1", { files: [], lost: [] });
  assert.equal(store.getItem(KEPT_FILES), null, "nothing stays when nothing waits");
});

test("another user of the tab sees nothing of them, and damaged or missing storage is no error", () => {
  const store = new Store();
  new KeptFiles(7, store).save("1", { files: [FACTS], lost: [] });
  assert.equal(new KeptFiles(8, store).take("1"), undefined);
  for (const damaged of ["{", "[]", '{"user":7}', '{"user":7,"rooms":null}', "7"]) {
    store.setItem(KEPT_FILES, damaged);
    assert.equal(new KeptFiles(7, store).take("1"), undefined);
  }
  const full = {
    ...{ length: 0, key: () => null, getItem: () => null, removeItem: () => {} },
    setItem: () => {
      throw new Error("full");
    },
  };
  new KeptFiles(7, full).save("1", { files: [FACTS], lost: [] });
});
