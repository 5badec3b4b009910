/** Records in the browser's storage, each an item of its own so that tabs do not overwrite each other, with a copy in memory. */

import { keysOf } from "./outbox_store.js";

/** @import {Store} from "./outbox_store.js" */

/** @typedef {{oldValue?: string | null, newValue?: string | null}} Change */

/** @template T */
export class Records {
  #prefix;
  #store;
  #parse;
  #isShared;
  /**
   * All known records. A record is dropped only when this page or another tab removes it: if it is merely missing from
   * the storage, the user may have emptied the storage.
   * @type {Map<string, T>}
   */
  #records = new Map();
  /** Ids of records that this page wrote. @type {Set<string>} */
  #own = new Set();
  /** Ids of records of closed pages, among `#own`: this page stores them again, but what is stored is never older. @type {Set<string>} */
  #adopted = new Set();
  /** Ids of this page's records that the storage refused: they exist as long as the page. @type {Set<string>} */
  #unstored = new Set();
  /** Ids that were missing at the last check. @type {Set<string>} */
  #missing = new Set();
  #isClosed = false;

  /**
   * @param {string} prefix
   * @param {Store} store
   * @param {{parse: (text: string, id: string) => T | null, isShared: boolean}} kind `parse`: null if it is no valid record; `isShared`: any tab may write any record. Otherwise a copy in another tab may be older than what its writer stored.
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
    this.#adopted.delete(id);
    this.#write(id);
  }

  /** Become responsible for a record of a closed page. @param {string} id */
  adopt(id) {
    if (this.#own.has(id)) return;
    this.#own.add(id);
    this.#adopted.add(id);
  }

  /** @param {string} id */
  remove(id) {
    this.#forget(id);
    this.#store.removeItem(this.#prefix + id);
  }

  /** Read what other tabs stored. */
  loadAll() {
    for (const key of keysOf(this.#store, this.#prefix)) this.#read(key);
  }

  /**
   * Another tab changed the storage.
   * @param {string | null} key null: the user emptied the storage
   * @param {Change} [change] from the event, which may arrive late
   * @returns {boolean} whether the change concerns these records
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
   * Store again what the storage lost or refused. A record that another tab has just removed is missing too, until
   * its event arrives, so only a record that is missing twice counts as lost.
   * @param {boolean} isLast the page is being closed, so there is no second check
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

  /** The user signed out in another tab: store nothing from now on. */
  close() {
    this.#isClosed = true;
    for (const id of this.#records.keys()) {
      // A user may be signed in again in the tab that wrote the record.
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
    // A record that the storage refused is newer in memory than in the storage.
    const isNewerHere = this.#unstored.has(id) || (this.#own.has(id) && !this.#isShared);
    if (isNewerHere && !this.#adopted.has(id)) return;
    const record = this.#parse(this.#store.getItem(key) ?? "", id);
    if (record !== null) this.#records.set(id, record);
  }

  /** @param {string} id @param {string | null} removedValue the removed value */
  #removedElsewhere(id, removedValue) {
    const isAsKnown =
      removedValue === null || removedValue === JSON.stringify(this.#records.get(id));
    if (isAsKnown) this.#forget(id);
    // This page has changed the record since.
    else if (this.#own.has(id)) this.#write(id);
  }

  /** @param {string} id */
  #forget(id) {
    this.#records.delete(id);
    this.#own.delete(id);
    this.#adopted.delete(id);
    this.#unstored.delete(id);
    this.#missing.delete(id);
  }

  /** @param {string} id */
  #write(id) {
    if (this.#own.has(id)) this.#unstored.add(id);
    if (this.#isClosed) return;
    // Its page may have stored a newer text while this page could not read the storage.
    if (this.#adopted.has(id)) this.#read(this.#prefix + id);
    const text = JSON.stringify(this.#records.get(id));
    try {
      this.#store.setItem(this.#prefix + id, text);
    } catch {
      return; // full or not allowed
    }
    // Some browsers accept everything and store nothing.
    if (this.#store.getItem(this.#prefix + id) !== text) return;
    this.#unstored.delete(id);
    this.#missing.delete(id);
  }
}
