/** The bar above the panes: after some seconds without a connection it says why, and offers to try now. */

import { setHidden } from "../dom/focus.js";
import { part, setText } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { barWords } from "../model/strings.js";

/** @import {State} from "../model/connection.js" */

/** A shorter loss is no reason to say anything. */
const SHOWN_AFTER_MS = 5_000;
/** The server is asked at most this often. */
const ASK_EVERY_MS = 8_000;
const LOADED_AFTER_MS = 3_000;
const loadDiagnosis = () => import("lazy/diagnosis");

export class ConnectionBar {
  #bar = part(document, "connection-bar");
  #address;
  #tryNow;
  /** @type {State} */
  #state = "connecting";
  #retryAt = 0;
  /** When the connection was lost. */
  #since = performance.now();
  #askedAt = -ASK_EVERY_MS;
  #isAsking = false;
  /** Why there is no connection, once it is known. */
  #cause = "";
  /** How many times in a row the server answered and yet no socket was opened. */
  #refusals = 0;

  #loadMore;

  /** @param {string} stream the address of the WebSocket @param {() => void} tryNow @param {() => void} loadMore load what has to work without a connection too */
  constructor(stream, tryNow, loadMore) {
    this.#address = `${stream}check?origin=${encodeURIComponent(location.origin)}`;
    this.#tryNow = tryNow;
    this.#loadMore = () => {
      if (!isWell(this.#state)) return; // what can't be loaded once is never loaded in Chromium
      loadMore();
      loadDiagnosis().catch(() => null);
    };
    part(this.#bar, "try-now").addEventListener("click", () => {
      this.#askedAt = -ASK_EVERY_MS;
      this.#tryNow();
    });
  }

  /** @param {State} state @param {number} retryAt */
  showState(state, retryAt) {
    if (isWell(this.#state) && !isWell(state)) this.#since = performance.now();
    this.#state = state;
    this.#retryAt = retryAt;
    if (isWell(state)) {
      this.#cause = "";
      this.#refusals = 0;
    }
    // Loaded while the server answers, but not before what the user waits for.
    if (state === "open") setTimeout(this.#loadMore, LOADED_AFTER_MS);
    this.tick();
  }

  /** Once a second. */
  tick() {
    const isShown = !isWell(this.#state) && performance.now() - this.#since >= SHOWN_AFTER_MS;
    document.body.classList.toggle("offline", isShown);
    setHidden(this.#bar, !isShown);
    if (!isShown) return;
    if (this.#state === "waiting" && !document.hidden) this.#ask();
    const wait = this.#state === "waiting" ? this.#retryAt - performance.now() : 0;
    const [words, countdown] = barWords(this.#cause, { wait, isOnline: navigator.onLine });
    setText(part(this.#bar, "sentence"), words);
    setText(part(this.#bar, "countdown"), countdown);
  }

  async #ask() {
    const now = performance.now();
    if (this.#isAsking || now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    this.#isAsking = true;
    const found = await loadDiagnosis()
      .then(({ explain }) => explain(this.#address))
      .catch(() => null);
    this.#isAsking = false;
    if (isWell(this.#state)) return;
    // The server may just have come back, so the socket gets another chance before the page says that it is refused.
    this.#refusals = found?.isSocket ? this.#refusals + 1 : 0;
    if (this.#refusals === 1) return this.#tryNow();
    // What explains it could not be loaded either.
    this.#cause = found?.sentence ?? gettext("The server doesn't answer.");
    this.tick();
  }
}

/** Whether nothing is wrong, or another sentence says what is. @param {State} state */
function isWell(state) {
  return state === "open" || state === "signed out";
}
