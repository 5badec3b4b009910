/** Goes on when this page's user has signed in again in another tab, and says so when another user has. */

/** @import {Store} from "./outbox_store.js" */

/** Pages say here who they are, so that the others hear of it. */
const KEY = "multichat.session";
const ASK_EVERY_MS = 30_000;

export class SignedOut {
  #user;
  #store;
  #ask;
  #returned;
  #replaced;
  #isSignedOut = false;
  #isAsking = false;
  #askedAt = 0;

  /**
   * @param {number} user
   * @param {{store: Store, fetchUser: () => Promise<number | null>, returned: () => void, replaced: () => void}} page `ask` who is signed in in this browser
   */
  constructor(user, { store, fetchUser: ask, returned, replaced }) {
    this.#user = user;
    this.#store = store;
    this.#ask = ask;
    this.#returned = returned;
    this.#replaced = replaced;
  }

  /** This page is signed in. */
  announce() {
    try {
      this.#store.setItem(KEY, `${this.#user} ${Date.now()}`);
    } catch {
      // Full, or closed to us: the other pages ask now and then.
    }
    // The event is enough; after signing out nothing of ours stays in the storage.
    this.#store.removeItem(KEY);
  }

  /** @param {boolean} isSignedOut */
  setSignedOut(isSignedOut) {
    this.#isSignedOut = isSignedOut;
    this.#askedAt = Date.now();
  }

  /** Another page wrote to the store. @param {string | null} key */
  storageChanged(key) {
    if (key === KEY) this.checkUser();
  }

  /** Once a second. @param {boolean} isVisible */
  tick(isVisible) {
    if (isVisible && Math.abs(Date.now() - this.#askedAt) >= ASK_EVERY_MS) this.checkUser();
  }

  /** The user may be back: ask. */
  async checkUser() {
    if (!this.#isSignedOut || this.#isAsking) return;
    this.#isAsking = true;
    this.#askedAt = Date.now();
    try {
      const user = await this.#ask();
      if (!this.#isSignedOut) return;
      if (user === this.#user) this.#returned();
      else if (user !== null) this.#replaced();
    } catch {
      // The server does not answer: asked again later.
    } finally {
      this.#isAsking = false;
    }
  }
}
