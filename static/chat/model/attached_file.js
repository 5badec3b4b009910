/** A file of a message that is being written: an upload to the room of its composer, and a copy for each other room that the message goes to. */

import { Upload } from "./upload.js";

/** @import {FileFacts} from "./files.js" */
/** @import {Request, UploadState} from "./upload.js" */

/** A file on the server, and its copies in other rooms by their ids. @typedef {FileFacts & {copies?: Record<string, FileFacts>}} KeptFile */
/** @typedef {{id: string, title: string}} Target */
/** `discard`: removes such a file, because no message will have it. @typedef {{room: string, headers: () => Record<string, string>, request: () => Request, isConnected?: () => boolean, isSignedIn?: () => boolean, changed: () => void, discard: (facts: FileFacts) => void}} FileOptions */

/** What a user sees first of a file that is on its way to several rooms. @type {UploadState[]} */
const WORST_FIRST = ["refused", "failed", "sending", "waiting", "done"];

export class AttachedFile {
  #options;
  /** Its upload to the composer's own room. */
  own;
  /** By room, in the order in which they were asked for. @type {Map<string, {title: string, upload: Upload}>} */
  #copies = new Map();

  /** @param {File} file @param {FileOptions} options */
  constructor(file, options) {
    this.#options = options;
    this.own = new Upload(file, options);
  }

  /** A file that is on the server already. @param {KeptFile} kept @param {FileOptions} options */
  static onServer({ copies = {}, ...facts }, options) {
    const file = new AttachedFile(new File([], facts.name), options);
    Object.assign(file.own, { facts, state: "done" });
    for (const [room, of] of Object.entries(copies))
      Object.assign(file.#copyTo({ id: room, title: "" }), { facts: of, state: "done" });
    return file;
  }

  get name() {
    return this.own.file.name;
  }

  get uploads() {
    return [this.own, ...[...this.#copies.values()].map(({ upload }) => upload)];
  }

  /** What to keep of it over a reload, if it is on the server. @returns {KeptFile | null} */
  get kept() {
    const { facts } = this.own;
    const done = [...this.#copies].flatMap(([room, { upload }]) =>
      upload.facts ? [[room, upload.facts]] : [],
    );
    return facts && { ...facts, ...(done.length && { copies: Object.fromEntries(done) }) };
  }

  /** The upload with the worst state, the progress of all uploads, and how many rooms have the file. */
  get status() {
    const all = [{ title: "", upload: this.own }, ...this.#copies.values()];
    const [first = all[0]] = WORST_FIRST.flatMap((state) =>
      all.filter(({ upload }) => upload.state === state),
    );
    const { title = "", upload = this.own } = first ?? {};
    const progress = all.reduce((sum, each) => sum + each.upload.progress, 0) / all.length;
    const done = all.filter((each) => each.upload.state === "done").length;
    return { title, upload, progress, done, rooms: all.length };
  }

  /** The titles of the other rooms to which it could not be uploaded. */
  get missing() {
    return [...this.#copies.values()]
      .filter(({ upload }) => upload.state === "failed" || upload.state === "refused")
      .map(({ title }) => title);
  }

  /** The file of a room. @param {string} room */
  factsFor(room) {
    return room === this.#options.room ? this.own.facts : this.#copies.get(room)?.upload.facts;
  }

  /** The message goes to these other rooms: upload it to those that do not have it, and remove it from all others. @param {Target[]} rooms */
  goTo(rooms) {
    this.removeCopies(new Set(rooms.map(({ id }) => id)));
    for (const room of rooms) {
      const upload = this.#copyTo(room);
      // The cause may be gone: the user may have got the right, or the quota may have space again.
      if (upload.state === "failed" || upload.state === "refused") upload.retry();
    }
  }

  /** Remove it from the other rooms, except from these. @param {Set<string>} rooms their ids */
  removeCopies(rooms) {
    for (const [room, { upload }] of this.#copies) {
      if (rooms.has(room)) continue;
      this.#copies.delete(room);
      this.#end(upload);
    }
  }

  retry() {
    for (const upload of this.uploads) if (upload.canRetry) upload.retry();
  }

  /** The user removed it from the message. */
  remove() {
    for (const upload of this.uploads) this.#end(upload);
  }

  /** Upload nothing more of it. What the server has of it, the server removes. */
  cancel() {
    for (const upload of this.uploads) upload.cancel();
  }

  /** @param {Target} room */
  #copyTo({ id, title }) {
    const known = this.#copies.get(id);
    if (known) known.title = title;
    // The server copies it, so its bytes are sent once.
    const options = { ...this.#options, room: id, source: () => this.own.facts };
    const upload = known?.upload ?? new Upload(this.own.file, options);
    if (!known) this.#copies.set(id, { title, upload });
    return upload;
  }

  /** @param {Upload} upload */
  #end(upload) {
    upload.cancel();
    if (upload.facts) this.#options.discard(upload.facts);
  }
}
