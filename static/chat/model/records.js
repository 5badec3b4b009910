/** Records in the browser's storage, one item each, so that tabs do not overwrite each other; with a copy of each in memory. */

/** @import {Store} from "./outbox_store.js" */

/** @typedef {{oldValue?: string | null, newValue?: string | null}} Change */

/** @template T */
export class Records {
  #prefix;
  #store;
  #parse;
  #isShared;
  /**
   * All records known. A record leaves only when this page forgets it or another tab removed it:
   * that it cannot be read any more may mean that the user emptied the storage.
   * @type {Map<string, T>}
   */
  #records = new Map();
  /** Ids of what this page wrote. @type {Set<string>} */
  #own = new Set();
  /** Ids of records of this page that the storage did not take: they live as long as the page. @type {Set<string>} */
  #unstored = new Set();
  /** Ids that were not found at the last check. @type {Set<string>} */
  #missing = new Set();
  #isClosed = false;

  /**
   * @param {string} prefix
   * @param {Store} store
   * @param {{parse: (text: string, id: string) => T | null, isShared: boolean}} kind `parse`: null if it is not one of ours; `isShared`: any tab may write any record. Otherwise what another tab has in memory may be older than what its writer stored.
   */
  constructor(prefix, store, { parse, isShared }) {
    this.#prefix = prefix;
    this.#store = store;
    this.#parse = parse;
    this.#isShared = isShared;
    this.loadAll();
  }

  /** @param {string} id */
  keyOf(id) {
    return this.#prefix + id;
  }

  /** @returns {[string, T][]} */
  get all() {
    return [...this.#records];
  }

  get isClosed() {
    return this.#isClosed;
  }

  get hasUnstored() {
    return this.#unstored.size > 0;
  }

  /** @param {string} id */
  get(id) {
    return this.#records.get(id);
  }

  /** @param {string} id @param {T} record */
  save(id, record) {
    this.#records.set(id, record);
    this.#own.add(id);
    this.#write(id);
  }

  /** Look after the record of a page that is gone. @param {string} id */
  adopt(id) {
    this.#own.add(id);
  }

  /** @param {string} id */
  remove(id) {
    this.#forget(id);
    this.#store.removeItem(this.#prefix + id);
  }

  /** Take in what other tabs stored. */
  loadAll() {
    const keys = Array.from({ length: this.#store.length }, (_, i) => this.#store.key(i) ?? "");
    for (const key of keys) if (key.startsWith(this.#prefix)) this.#read(key);
  }

  /**
   * Another tab changed the storage.
   * @param {string | null} key null: everything was removed, by the user and not by us
   * @param {Change} [change] what the event says of it: it may come late
   * @returns {boolean} whether it concerns these records
   */
  storageChanged(key, { oldValue = null, newValue = null } = {}) {
    if (key !== null && !key.startsWith(this.#prefix)) return false;
    if (this.#isClosed) return false;
    if (key === null) this.repairStorage(true);
    else if (this.#store.getItem(key) !== null) this.#read(key);
    else if (newValue === null) this.#removedElsewhere(key.slice(this.#prefix.length), oldValue);
    return true;
  }

  /**
   * Store again what the storage lost or did not take. What another tab has just removed would be
   * missing, too, until its event is here: so a record has to be missing twice.
   * @param {boolean} isLast the page is being closed, so there is no second time
   */
  repairStorage(isLast = false) {
    if (this.#isClosed) return;
    for (const id of this.#isShared ? this.#records.keys() : this.#own) {
      const isLost = this.#store.getItem(this.#prefix + id) === null;
      if (this.#unstored.has(id) || (isLost && (isLast || this.#missing.has(id)))) this.#write(id);
      else if (isLost) this.#missing.add(id);
      else this.#missing.delete(id);
    }
  }

  /** The user signed out in another tab: nothing is stored any more. */
  close() {
    this.#isClosed = true;
    for (const id of this.#records.keys()) {
      // Somebody may be signed in again in the tab that has written it.
      if (!this.#own.has(id)) this.#forget(id);
      else {
        this.#unstored.add(id);
        this.#store.removeItem(this.#prefix + id);
      }
    }
  }

  /** The user is signed in again. */
  open() {
    if (!this.#isClosed) return;
    this.#isClosed = false;
    for (const id of this.#records.keys()) this.#write(id);
  }

  /** @param {string} key */
  #read(key) {
    const id = key.slice(this.#prefix.length);
    // What is in memory only is newer than what the storage may still have of it.
    if (this.#unstored.has(id) || (this.#own.has(id) && !this.#isShared)) return;
    const record = this.#parse(this.#store.getItem(key) ?? "", id);
    if (record !== null) this.#records.set(id, record);
  }

  /** @param {string} id @param {string | null} before what was removed */
  #removedElsewhere(id, before) {
    const isAsKnown = before === null || before === JSON.stringify(this.#records.get(id));
    if (isAsKnown) this.#forget(id);
    // It has been changed here since.
    else if (this.#own.has(id)) this.#write(id);
  }

  /** @param {string} id */
  #forget(id) {
    this.#records.delete(id);
    this.#own.delete(id);
    this.#unstored.delete(id);
    this.#missing.delete(id);
  }

  /** @param {string} id */
  #write(id) {
    if (this.#own.has(id)) this.#unstored.add(id);
    if (this.#isClosed) return;
    const text = JSON.stringify(this.#records.get(id));
    try {
      this.#store.setItem(this.#prefix + id, text);
    } catch {
      return; // full, or closed to us
    }
    // Some browsers take everything and keep nothing.
    if (this.#store.getItem(this.#prefix + id) !== text) return;
    this.#unstored.delete(id);
    this.#missing.delete(id);
  }
}
