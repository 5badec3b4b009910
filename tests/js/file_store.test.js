import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { FileStore } from "../../static/chat/model/file_store.js";

const settled = () => new Promise(setImmediate);
const MB = 1024 * 1024;
const file = (name, size = 4) => ({ name, size });

/** A browser's database with one table, as far as it is used. */
class Database {
  rows = new Map();
  isFull = false;

  open = () => {
    const request = this.#answer(() => this);
    request.result = this;
    queueMicrotask(() => request.onupgradeneeded());
    return request;
  };
  createObjectStore() {}
  transaction = () => ({ objectStore: () => this });
  getAll = () => this.#answer(() => [...this.rows.values()]);
  delete = (id) => this.#answer(() => this.rows.delete(id));
  clear = () => this.#answer(() => this.rows.clear());
  put = (row) =>
    this.#answer(() => {
      if (this.isFull) throw new Error("full");
      this.rows.set(row.id, row);
    });

  #answer(act) {
    const request = {};
    setImmediate(() => {
      try {
        request.result = act();
        request.onsuccess();
      } catch (error) {
        request.error = error;
        request.onerror();
      }
    });
    return request;
  }
}

let database;

beforeEach(() => {
  database = new Database();
});

async function reload(user, ...wanted) {
  const store = await FileStore.open(user, new Set(wanted), () => database);
  await settled();
  return store;
}

const ids = () => [...database.rows.keys()].sort();

test("files are kept over a reload until they are uploaded", async () => {
  const before = await reload(7);
  before.keep("1", [{ id: "a", file: file("a.txt") }]);
  before.keep("2", [{ id: "b", file: file("b.txt") }]);
  assert.equal(before.has("a"), false, "it is on its way");
  await settled();
  assert.equal(before.has("a"), true);
  const after = await reload(7, "a", "b");
  assert.equal(after.earlier("a").name, "a.txt");
  for (const id of ["a", "b"])
    after.keep(id === "a" ? "1" : "2", [{ id, file: after.earlier(id) }]);
  await settled();
  after.keep("1", []);
  await settled();
  assert.deepEqual([after.has("a"), after.has("b"), ids()], [false, true, ["b"]]);
});

test("another tab's files stay, and old ones and those of another user are removed", async () => {
  (await reload(7)).keep("1", [{ id: "a", file: file("a.txt") }]);
  await settled();
  assert.equal((await reload(7)).earlier("a"), undefined);
  assert.deepEqual(ids(), ["a"]);
  const tomorrow = Date.now() + 25 * 3600_000;
  const now = mock.method(Date, "now", () => tomorrow);
  await reload(7);
  now.mock.restore();
  assert.deepEqual(ids(), []);
  (await reload(7)).keep("1", [{ id: "b", file: file("b.txt") }]);
  await settled();
  assert.equal((await reload(8, "b")).earlier("b"), undefined);
  assert.deepEqual(ids(), []);
});

test("after signing out nothing is kept", async () => {
  const store = await reload(7);
  store.keep("1", [{ id: "a", file: file("a.txt") }]);
  await settled();
  await store.clear();
  assert.deepEqual(ids(), []);
});

test("a tab keeps a bounded number of bytes, also beside other tabs", async () => {
  const store = await reload(7);
  store.keep("1", [
    { id: "a", file: file("a.bin", 150 * MB) },
    { id: "b", file: file("b.bin", 51 * MB) },
    { id: "c", file: file("c.bin", 50 * MB) },
  ]);
  await settled();
  assert.deepEqual([store.has("b"), ids()], [false, ["a", "c"]]);
  (await reload(7)).keep("1", [{ id: "d", file: file("d.txt") }]);
  await settled();
  assert.deepEqual(ids(), ["a", "c"]);
});

test("a database that is full, forbidden or never opens keeps no file and is no error", async () => {
  database.isFull = true;
  const full = await reload(7);
  full.keep("1", [{ id: "a", file: file("a.txt") }]);
  await settled();
  assert.equal(full.has("a"), false);
  const forbidden = await FileStore.open(7, new Set(["a"]), () => {
    throw new Error("SecurityError");
  });
  forbidden.keep("1", [{ id: "a", file: file("a.txt") }]);
  await forbidden.clear();
  await settled();
  assert.deepEqual([forbidden.has("a"), forbidden.earlier("a")], [false, undefined]);
  mock.timers.enable({ apis: ["setTimeout"] });
  const opening = FileStore.open(7, new Set(), () => ({ open: () => ({}) }));
  mock.timers.tick(2_000);
  assert.equal((await opening).has("a"), false);
  mock.timers.reset();
});
