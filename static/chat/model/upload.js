/** One file on its way to the server: its progress, what it was refused for, and when it is tried again. */

import { addressOf } from "./files.js";
import { gettext } from "./language.js";
import { uuid } from "./outbox_store.js";

/** @import {FileFacts} from "./files.js" */

/** The part of XMLHttpRequest that is used; only it tells how much was sent. @typedef {Pick<XMLHttpRequest, "open" | "send" | "abort" | "setRequestHeader" | "status" | "responseText"> & {upload: Pick<XMLHttpRequestUpload, "onprogress">, onloadend: ((event: any) => void) | null}} Request */

/** @typedef {"waiting" | "sending" | "done" | "failed" | "refused"} UploadState */

const LOST = gettext("The upload was interrupted.");
/** While the page is not connected, the last delay is repeated. Otherwise the user tries again after these: a proxy may refuse the file, or it was changed. */
const RETRY_AFTER_MS = [1_000, 3_000, 8_000, 15_000];
/** The status of a request that got no answer. */
const NO_ANSWER = 0;
/** Another try may succeed at once, or never. After every other answer the user may try again, as after signing in. */
const BUSY = new Set([502, 503, 504]);
/** Too many uploads of this user at once. A message to many rooms is expected to cause that, so its uploads are tried again until the server takes them. */
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
  /** The idempotency key: however often it is tried, the server stores one file. */
  #id = uuid();
  #tries = 0;
  /** Whether it waits for the time of its next try. */
  isPaused = false;
  /** @type {Request | null} */
  #request = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #options;

  /** The connection was lost, and since then nothing was sent. */
  isInterrupted = false;

  /** @param {Blob & {name: string}} file @param {{room: string, headers: () => Record<string, string>, request: () => Request, changed: () => void, isConnected?: () => boolean, isSignedIn?: () => boolean, source?: () => FileFacts | null}} options `isConnected`, `isSignedIn`: whether the page is; `source`: the file on the server that is copied, if its bytes are not sent */
  constructor(file, options) {
    this.file = file;
    this.#options = options;
  }

  /** Whether it waits only for its turn. A copy also waits for the file on the server, and all wait for a user who is signed out. */
  get canStart() {
    const isDue = this.state === "waiting" && !this.isPaused && this.#isSignedIn;
    return isDue && this.#options.source?.() !== null;
  }

  get #isSignedIn() {
    return this.#options.isSignedIn?.() ?? true;
  }

  /** Whether the user, or a connection that is back, may try it again now. */
  get canRetry() {
    return this.state === "failed" || (this.isInterrupted && this.#request === null);
  }

  start() {
    this.#endPause();
    const { room, headers, source, request: create } = this.#options;
    const copied = source?.();
    const name = encodeURIComponent(wellFormed(this.file.name));
    const request = create();
    this.#request = request;
    request.open(
      "POST",
      copied
        ? `${addressOf(copied)}copy/?client_id=${this.#id}&room=${room}`
        : `/rooms/${room}/files/?client_id=${this.#id}&name=${name}`,
    );
    const sent = { ...headers(), "Content-Type": "application/octet-stream" };
    for (const [header, value] of Object.entries(sent)) request.setRequestHeader(header, value);
    request.upload.onprogress = ({ loaded, total }) => {
      this.progress = total ? loaded / total : 0;
      this.isInterrupted = false;
      this.#options.changed();
    };
    request.onloadend = () => this.#ended(request);
    this.#set("sending");
    request.send(copied ? null : this.file);
  }

  /** Let an upload that failed or was interrupted wait for its turn again. */
  retry() {
    this.#endPause();
    this.#tries = 0;
    this.#set("waiting");
  }

  cancel() {
    this.#endPause();
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
    const { status } = request;
    this.reason = answer?.detail ?? LOST;
    if (FINAL.has(status)) return this.#set("refused");
    const delay = this.#delayAfter(status);
    if (delay === undefined) return this.#set("failed");
    this.isInterrupted = status === NO_ANSWER;
    this.progress = 0;
    if (status === TOO_FAST) {
      // It keeps its place, because another upload of the user would be refused too.
      this.#timer = setTimeout(
        () => (this.#isSignedIn ? this.start() : this.#set("waiting")),
        delay,
      );
    } else {
      this.state = "waiting";
      this.isPaused = true;
      this.#timer = setTimeout(() => {
        this.isPaused = false;
        this.#options.changed();
      }, delay);
    }
    this.#options.changed();
  }

  #endPause() {
    clearTimeout(this.#timer);
    this.isPaused = false;
  }

  /** @param {number} status @returns {number | undefined} undefined: it is the user who tries again */
  #delayAfter(status) {
    if (status === TOO_FAST) return SLOW_DOWN_MS * (1 + Math.random());
    if (status !== NO_ANSWER && !BUSY.has(status)) return undefined;
    const isLost = status === NO_ANSWER && !this.#options.isConnected?.();
    const delay = RETRY_AFTER_MS[this.#tries];
    this.#tries += 1;
    return delay ?? (isLost ? RETRY_AFTER_MS.at(-1) : undefined);
  }

  /** @param {UploadState} state */
  #set(state) {
    this.state = state;
    this.isInterrupted &&= state === "sending";
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
