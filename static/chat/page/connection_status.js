/** Says how the line to the server is, and the way back when the session is over. */

import { part } from "../dom/templates.js";
import { REPLACED, sentenceFor, stateWords } from "../model/strings.js";

/** @import {State} from "../model/connection.js" */
/** @import {Notices} from "../dom/notices.js" */

export class ConnectionStatus {
  #notices;
  #retryAt = 0;
  /** @type {State} */
  #state = "connecting";

  /** @param {Notices} notices */
  constructor(notices) {
    this.#notices = notices;
  }

  /**
   * @param {State} state
   * @param {number} retryAt
   */
  showState(state, retryAt) {
    // Between two tries nothing is new: each change of the words would be read out.
    const isTrying = this.#state === "waiting" || this.#state === "returning";
    if (state !== "connecting" || !isTrying) this.#state = state;
    this.#retryAt = retryAt;
    part(document, "state").dataset.state = this.#state;
    const link = /** @type {HTMLAnchorElement} */ (part(document, "sign-in"));
    link.hidden = state !== "signed out";
    link.textContent = link.hidden ? "" : "sign in again";
    link.search = `?next=${encodeURIComponent(location.pathname + location.search)}`;
    const sentence = sentenceFor("USER_HAS_TO_LOGIN");
    if (state === "signed out")
      this.#notices.show(sentence, { link: { label: "Sign in again", href: link.href } });
    if (state === "open") for (const over of [sentence, REPLACED]) this.#notices.remove(over);
    this.tick();
  }

  /** Another user has signed in, so this page cannot go on. */
  showUserReplaced() {
    this.#notices.remove(sentenceFor("USER_HAS_TO_LOGIN"));
    this.#notices.show(REPLACED, { link: { label: "Reload", href: location.href } });
  }

  /** Once a second: the countdown. */
  tick() {
    const [words, countdown] = stateWords(this.#state, this.#retryAt - performance.now());
    setText(part(document, "state-words"), words);
    setText(part(document, "state-countdown"), countdown);
  }
}

/** Only when it changed: a status that is set again is read out again. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
