/** One file on its way to the server: its progress, what it was refused for, and when it is tried again. */

import { gettext } from "./language.js";

/** @import {FileFacts} from "./files.js" */

/** The part of XMLHttpRequest that is used; only it tells how much was sent. @typedef {Pick<XMLHttpRequest, "open" | "send" | "abort" | "setRequestHeader" | "status" | "responseText"> & {upload: Pick<XMLHttpRequestUpload, "onprogress">, onloadend: ((event: any) => void) | null}} Request */

/** @typedef {"waiting" | "sending" | "done" | "failed" | "refused"} UploadState */

const LOST = gettext("The upload was interrupted.");
/** A lost connection often comes back by itself. After these delays it is the user who tries again. */
const RETRY_AFTER_MS = [1_000, 3_000, 8_000];
/** Another try may succeed at once, or never. After every other answer the user may try again, as after signing in. */
const TRANSIENT = new Set([0, 502, 503, 504]);
/** Too many uploads at once. A message to many rooms is expected to cause that, so its uploads are tried again until the server takes them. */
const TOO_FAST = 429;
/** And up to twice as much, at random, so that uploads which were refused together do not come back together. */
const SLOW_DOWN_MS = 2_000;
const FINAL = new Set([400, 404, 413]);

export class Upload {
  /** @type {UploadState} */
  state = "waiting";
  /** From 0 to 1. */
  progress = 0;
  reason = "";
  /** @type {FileFacts | null} */
  facts = null;
  #tries = 0;
  /** @type {Request | null} */
  #request = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #options;
  #isCancelled = false;

  /** @param {Blob & {name: string}} file @param {{room: string, token: () => string, request: () => Request, changed: () => void, load?: () => Promise<Blob>}} options `load`: returns the bytes, if the file is only its name */
  constructor(file, options) {
    this.file = file;
    this.#options = options;
  }

  start() {
    clearTimeout(this.#timer);
    const { load } = this.#options;
    if (!load) return this.#send(this.file);
    this.#set("sending");
    load().then(
      (bytes) => this.#send(bytes),
      () => this.#failed(0, LOST),
    );
  }

  /** @param {Blob} bytes */
  #send(bytes) {
    if (this.#isCancelled) return;
    const { room, token, request: create } = this.#options;
    const request = create();
    this.#request = request;
    request.open(
      "POST",
      `/rooms/${room}/files/?name=${encodeURIComponent(wellFormed(this.file.name))}`,
    );
    request.setRequestHeader("X-CSRFToken", token());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => {
      this.progress = total ? loaded / total : 0;
      this.#options.changed();
    };
    request.onloadend = () => this.#ended(request);
    this.#set("sending");
    request.send(bytes);
  }

  /** Let a failed upload wait for its turn again. */
  retry() {
    this.#tries = 0;
    this.#set("waiting");
  }

  cancel() {
    this.#isCancelled = true;
    clearTimeout(this.#timer);
    const request = this.#request;
    this.#request = null;
    request?.abort();
  }

  /** @param {Request} request */
  #ended(request) {
    if (this.#request !== request) return; // it was cancelled
    this.#request = null;
    const answer = parse(request.responseText);
    if (request.status === 200 && answer) {
      this.facts = answer;
      return this.#set("done");
    }
    this.#failed(request.status, answer?.detail ?? LOST);
  }

  /** @param {number} status 0: the connection was lost @param {string} reason */
  #failed(status, reason) {
    if (this.#isCancelled) return;
    const isTooFast = status === TOO_FAST;
    const delay = TRANSIENT.has(status) ? RETRY_AFTER_MS[this.#tries] : undefined;
    this.reason = reason;
    if (FINAL.has(status)) return this.#set("refused");
    if (delay === undefined && !isTooFast) return this.#set("failed");
    if (!isTooFast) this.#tries += 1;
    this.#timer = setTimeout(() => this.start(), delay ?? SLOW_DOWN_MS * (1 + Math.random()));
    this.#options.changed();
  }

  /** @param {UploadState} state */
  #set(state) {
    this.state = state;
    if (state !== "failed" && state !== "refused") this.reason = "";
    this.progress = state === "done" ? 1 : 0;
    this.#options.changed();
  }
}

/** Half a character cannot be written in an address. @param {string} name */
function wellFormed(name) {
  return name.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
