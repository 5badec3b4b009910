/** Shows the connection's state, and a link to sign in when the session is over. */

import { part, setText } from "../dom/templates.js";
import { gettext } from "../model/language.js";
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
    // Between two attempts, keep the words: a screen reader would read out each change.
    const isTrying = this.#state === "waiting" || this.#state === "returning";
    if (state !== "connecting" || !isTrying) this.#state = state;
    this.#retryAt = retryAt;
    part(document, "state").dataset.state = this.#state;
    const link = /** @type {HTMLAnchorElement} */ (part(document, "sign-in"));
    link.hidden = state !== "signed out";
    link.textContent = link.hidden ? "" : gettext("Sign in again");
    link.search = `?next=${encodeURIComponent(location.pathname + location.search)}`;
    const sentence = sentenceFor("USER_HAS_TO_LOGIN");
    if (state === "signed out")
      this.#notices.show(sentence, { link: { label: gettext("Sign in again"), href: link.href } });
    if (state === "open") for (const key of [sentence, REPLACED]) this.#notices.remove(key);
    this.tick();
  }

  /** Another user has signed in, so this page cannot continue. */
  showUserReplaced() {
    this.#notices.remove(sentenceFor("USER_HAS_TO_LOGIN"));
    this.#notices.show(REPLACED, { link: { label: gettext("Reload"), href: location.href } });
  }

  /** Once a second: show the countdown. */
  tick() {
    const [words, countdown] = stateWords(this.#state, this.#retryAt - performance.now());
    setText(part(document, "state-words"), words);
    setText(part(document, "state-countdown"), countdown);
  }
}
