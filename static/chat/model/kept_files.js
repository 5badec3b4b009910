/** The files of unsent messages that a tab keeps over a reload: those on the server by id, and the names of the others. */

import { KEPT_FILES } from "./files.js";
import { openStore } from "./outbox_store.js";

/** @import {KeptFile} from "./attached_file.js" */
/** @import {Store} from "./outbox_store.js" */
/** @import {Tabs} from "./tabs.js" */

/** Of one room. `lost`: the names of files that were not uploaded yet. @typedef {{files: KeptFile[], lost: string[]}} Kept */

export class KeptFiles {
  #user;
  #tab;
  #store;
  /** @type {Record<string, Kept>} */
  #rooms;

  /**
   * Read what this tab kept before a reload. A duplicated tab gets a copy of the storage, and must not send the same
   * files. So what a tab that is still open has kept is dropped.
   * @param {number} user
   * @param {Pick<Tabs, "id" | "isClosed">} tabs
   * @param {Store} store
   */
  static async open(user, tabs, store = openStore(() => sessionStorage)) {
    const { tab, rooms } = read(store.getItem(KEPT_FILES), user);
    const isOurs = tab === tabs.id || (await tabs.isClosed(tab));
    // Otherwise a reload would find it as that of a tab that was closed meanwhile.
    if (!isOurs) store.removeItem(KEPT_FILES);
    return new KeptFiles(user, tabs.id, store, isOurs ? rooms : {});
  }

  /** @param {number} user @param {string} tab @param {Store} store @param {Record<string, Kept>} rooms */
  constructor(user, tab, store, rooms) {
    this.#user = user;
    this.#tab = tab;
    this.#store = store;
    this.#rooms = rooms;
  }

  /** Return what was kept of a room before the page was loaded, once. @param {string} room @returns {Kept | undefined} */
  take(room) {
    const kept = this.#rooms[room];
    // The names of lost files are shown once. The uploaded files stay until the message is sent.
    if (kept) this.save(room, { files: kept.files, lost: [] });
    return kept;
  }

  /** The user signed out. */
  clear() {
    this.#rooms = {};
    this.#store.removeItem(KEPT_FILES);
  }

  /** @param {string} room @param {Kept} kept */
  save(room, kept) {
    const { [room]: _, ...others } = this.#rooms;
    this.#rooms = kept.files.length || kept.lost.length ? { ...others, [room]: kept } : others;
    if (Object.keys(this.#rooms).length === 0) return this.#store.removeItem(KEPT_FILES);
    try {
      const kept = { user: this.#user, tab: this.#tab, rooms: this.#rooms };
      this.#store.setItem(KEPT_FILES, JSON.stringify(kept));
    } catch {
      // Without storage, files do not survive a reload.
    }
  }
}

/** @param {string | null} text @param {number} user @returns {{tab: string, rooms: Record<string, Kept>}} */
function read(text, user) {
  const none = { tab: "", rooms: {} };
  try {
    const kept = JSON.parse(text ?? "null");
    // Another user of this tab was signed in.
    if (kept?.user !== user || typeof kept.rooms !== "object") return none;
    return { tab: String(kept.tab ?? ""), rooms: kept.rooms ?? {} };
  } catch {
    return none;
  }
}
