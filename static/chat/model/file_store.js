/** Files that are not uploaded yet, in the browser's database, so that a reload keeps them. */

/** `id`: the key of its upload; `at`: when it was attached. @typedef {{id: string, user: number, at: number, file: File}} Row */
/** @typedef {{id: string, file: File}} Unsent */

const NAME = "multichat.files";
/** All files together have at most this size. What is beyond it is lost by a reload, as without a database. */
const MOST_BYTES = 200 * 1024 * 1024;
/** Files of tabs that were closed are removed. Younger ones may be those of a tab that is being reloaded. */
const DAY_MS = 24 * 3600 * 1000;
/** Files can be attached without a database, so nothing waits long for one. */
const OPEN_WITHIN_MS = 2_000;

export class FileStore {
  #user;
  #database;
  /** The size of the files that other tabs kept when this one was opened. */
  #otherBytes = 0;
  /** What is in the database or on its way there: the room of each file. @type {Map<string, {room: string, size: number}>} */
  #kept = new Map();
  /** @type {Set<string>} */
  #stored = new Set();
  /** Those of the page before a reload. @type {Map<string, File>} */
  #earlier = new Map();

  /**
   * @param {number} user
   * @param {Set<string>} wanted the ids of the files that this tab had before a reload
   * @param {() => IDBFactory} factory may throw where storage is not allowed
   */
  static async open(user, wanted, factory = () => indexedDB) {
    const late = new Promise((resolve) => setTimeout(resolve, OPEN_WITHIN_MS, null));
    const database = await Promise.race([openDatabase(factory).catch(() => null), late]);
    const store = new FileStore(user, database);
    await store.#read(wanted).catch(() => {});
    return store;
  }

  /** @param {number} user @param {IDBDatabase | null} database */
  constructor(user, database) {
    this.#user = user;
    this.#database = database;
  }

  /** Read this tab's files, and remove old ones and those of another user of this browser. @param {Set<string>} wanted */
  async #read(wanted) {
    /** @type {Row[]} */
    const rows = await this.#run("readonly", (files) => files.getAll());
    for (const { id, user, at, file } of rows) {
      const isOwn = user === this.#user;
      if (isOwn && wanted.has(id)) this.#earlier.set(id, file);
      else if (isOwn && at > Date.now() - DAY_MS) this.#otherBytes += file.size;
      else await this.#run("readwrite", (files) => files.delete(id));
    }
  }

  /** A file that was there before a reload. @param {string} id */
  earlier(id) {
    return this.#earlier.get(id);
  }

  /** Whether a reload keeps it. @param {string} id */
  has(id) {
    return this.#stored.has(id);
  }

  /** Keep these files of a room, and no others. @param {string} room @param {Unsent[]} files */
  keep(room, files) {
    const ids = new Set(files.map(({ id }) => id));
    for (const [id, kept] of this.#kept) {
      if (kept.room !== room || ids.has(id)) continue;
      this.#kept.delete(id);
      this.#stored.delete(id);
      this.#run("readwrite", (store) => store.delete(id)).catch(() => {}); // the next page removes it
    }
    for (const { id, file } of files) if (!this.#kept.has(id)) this.#add(room, id, file);
  }

  /** Forget the files of all tabs: the user is signed out. */
  clear() {
    return this.#run("readwrite", (files) => files.clear()).catch(() => {});
  }

  /** @param {string} room @param {string} id @param {File} file */
  #add(room, id, file) {
    const kept = [...this.#kept.values()].reduce((sum, { size }) => sum + size, file.size);
    if (this.#otherBytes + kept > MOST_BYTES) return;
    this.#kept.set(id, { room, size: file.size });
    /** @type {Row} */
    const row = { id, user: this.#user, at: Date.now(), file };
    this.#run("readwrite", (files) => files.put(row)).then(
      () => this.#kept.has(id) && this.#stored.add(id),
      () => {}, // the storage is full, so a reload loses the file, and the browser asks before
    );
  }

  /** @template T @param {IDBTransactionMode} mode @param {(files: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T>} */
  async #run(mode, act) {
    if (!this.#database) throw new Error("no database");
    return settled(act(this.#database.transaction(NAME, mode).objectStore(NAME)));
  }
}

/** @param {() => IDBFactory} factory @returns {Promise<IDBDatabase>} */
async function openDatabase(factory) {
  const request = factory().open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(NAME, { keyPath: "id" });
  return settled(request);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
