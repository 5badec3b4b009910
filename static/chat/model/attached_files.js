/** The files of a message that is being written in one room: what of them is uploaded next, and what the message waits for. */

import { AttachedFile } from "./attached_file.js";

/** @import {FileOptions, KeptFile, Target} from "./attached_file.js" */
/** @import {Kept} from "./kept_files.js" */
/** @import {Upload} from "./upload.js" */

/** `changed`: show and keep the files; `ready`: the message that waited can be sent; `stopped`: it cannot. @typedef {Omit<FileOptions, "changed"> & {changed: () => void, ready: () => void, stopped: () => void}} FilesPage */

/** As the server has it. */
export const MOST_FILES = 10;
/** More at a time would not be faster, and would delay messages. */
const AT_ONCE = 2;
/** With those that wait for their next try. Otherwise the many copies of a message would all come back to a busy server. */
const MOST_BEGUN = 10;

export class AttachedFiles {
  #page;
  #options;
  /** @type {AttachedFile[]} */
  #files = [];
  /** The uploads that the message waits for, to be sent by itself when they are done. @type {Upload[]} */
  #awaited = [];

  /** @param {FilesPage} page */
  constructor(page) {
    this.#page = page;
    const { changed: _, ...options } = page;
    this.#options = { ...options, changed: () => this.#changed() };
  }

  get all() {
    return this.#files;
  }

  get isWaiting() {
    return this.#awaited.length > 0;
  }

  /** What to keep over a reload. @returns {Kept} */
  get kept() {
    const lost = this.#files.filter(({ kept, own }) => !kept && own.state !== "refused");
    return {
      files: this.#files.flatMap(({ kept }) => kept ?? []),
      lost: lost.map(({ name }) => name),
    };
  }

  /** The titles of the other rooms for which a file is not uploaded, if that is all that is missing. */
  get missing() {
    if (this.#files.some(({ own }) => own.state !== "done")) return [];
    return [...new Set(this.#files.flatMap(({ missing }) => missing))];
  }

  /** @param {File} file */
  add(file) {
    const attached = new AttachedFile(file, this.#options);
    this.#files.push(attached);
    return attached;
  }

  /** @param {KeptFile} kept a file that is on the server already */
  putBack(kept) {
    const attached = AttachedFile.onServer(kept, this.#options);
    this.#files.push(attached);
    return attached;
  }

  /** Upload those that were added. */
  start() {
    this.stopWaiting();
    this.#changed();
  }

  /** Try again what failed, and go on with what waited for the user to sign in. */
  retry() {
    for (const file of this.#files) file.retry();
    this.#changed();
  }

  /** Another user may be signed in now, so upload and send nothing more. */
  clear() {
    this.stopWaiting();
    for (const file of this.#files.splice(0)) file.cancel();
  }

  /** @param {AttachedFile} file */
  remove(file) {
    file.remove();
    this.#files = this.#files.filter((other) => other !== file);
    this.start();
  }

  /**
   * Whether the message has to wait for its files. It is then sent when they are there. A file belongs to the room to
   * which it was uploaded, so each other room gets a copy.
   * @param {Target[]} [others] the other rooms of the message
   */
  holds(others) {
    for (const file of this.#files) if (others) file.goTo(others);
    const uploads = this.#files.flatMap((file) => (others ? file.uploads : [file.own]));
    const holds = uploads.some(({ state }) => state !== "done");
    this.#awaited = holds ? uploads : [];
    this.#changed();
    return holds;
  }

  /** Whether the message waits because the connection was lost. */
  get isInterrupted() {
    return this.#awaited.some(({ isInterrupted }) => isInterrupted);
  }

  stopWaiting() {
    this.#awaited = [];
  }

  /** Rooms were removed from the message: upload nothing more for them. @param {string[]} others the ids of those it still has */
  removeCopies(others) {
    for (const file of this.#files) file.removeCopies(new Set(others));
    this.start();
  }

  /** The files of the composer's own room, or of another. @param {string} [room] */
  filesFor(room = this.#page.room) {
    return this.#files.flatMap((file) => file.factsFor(room) ?? []);
  }

  /** They belong to a message now, and to its copies in other rooms. @param {Target[]} [others] */
  take(others = []) {
    for (const file of this.#files) file.goTo(others);
    this.#files = [];
    this.#page.changed();
  }

  #changed() {
    const uploads = this.#files.flatMap((file) => file.uploads);
    const running = uploads.filter(({ state }) => state === "sending").length;
    const begun = running + uploads.filter(({ isPaused }) => isPaused).length;
    const next = uploads.find(({ canStart }) => canStart);
    // It calls this method again, for the next one.
    if (running < AT_ONCE && begun < MOST_BEGUN && next) return next.start();
    const states = new Set(this.#awaited.map(({ state }) => state));
    const isStopped = states.has("failed") || states.has("refused");
    const isReady = this.isWaiting && !states.has("waiting") && !states.has("sending");
    if (isStopped || isReady) this.stopWaiting();
    this.#page.changed();
    if (isStopped) this.#page.stopped();
    else if (isReady) this.#page.ready();
  }
}
