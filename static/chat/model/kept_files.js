/** The files of unsent messages that a tab keeps over a reload: those on the server by id, and the names of the others. */

import { KEPT_FILES } from "./files.js";
import { openStore } from "./outbox_store.js";

/** @import {FileFacts} from "./files.js" */
/** @import {Store} from "./outbox_store.js" */

/** Of one room. `lost`: the names of files that were not uploaded yet. @typedef {{files: FileFacts[], lost: string[]}} Kept */

export class KeptFiles {
  #user;
  #store;
  /** @type {Record<string, Kept>} */
  #rooms;

  /** @param {number} user @param {Store} store of this tab alone, because two tabs must not send the same file */
  constructor(user, store = openStore(() => sessionStorage)) {
    this.#user = user;
    this.#store = store;
    this.#rooms = read(store.getItem(KEPT_FILES), user);
  }

  /** Return what was kept of a room before the page was loaded, once. @param {string} room @returns {Kept | undefined} */
  take(room) {
    const kept = this.#rooms[room];
    // What is lost is told once. The files stay until the message is sent.
    if (kept) this.save(room, { files: kept.files, lost: [] });
    return kept;
  }

  /** @param {string} room @param {Kept} kept */
  save(room, kept) {
    const { [room]: _, ...others } = this.#rooms;
    this.#rooms = kept.files.length || kept.lost.length ? { ...others, [room]: kept } : others;
    if (Object.keys(this.#rooms).length === 0) return this.#store.removeItem(KEPT_FILES);
    try {
      this.#store.setItem(KEPT_FILES, JSON.stringify({ user: this.#user, rooms: this.#rooms }));
    } catch {
      // Without storage, files do not survive a reload.
    }
  }
}

/** @param {string | null} text @param {number} user @returns {Record<string, Kept>} */
function read(text, user) {
  try {
    const kept = JSON.parse(text ?? "null");
    // Another user of this tab was signed in.
    return kept?.user === user && typeof kept.rooms === "object" ? (kept.rooms ?? {}) : {};
  } catch {
    return {};
  }
}
