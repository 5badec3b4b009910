/** While the page is signed out, notices when its user, or another user, has signed in in another tab. */

/** @import {Store} from "./outbox_store.js" */

/** Signed-in pages write their user here, which notifies the other pages. */
const KEY = "multichat.session";
const CHECK_EVERY_MS = 30_000;

export class SignedOut {
  #user;
  #store;
  #fetchUser;
  #userReturned;
  #userReplaced;
  #isSignedOut = false;
  #isChecking = false;
  #checkedAt = 0;

  /**
   * @param {number} user
   * @param {{store: Store, fetchUser: () => Promise<number | null>, userReturned: () => void, userReplaced: () => void}} page `fetchUser`: the id of the user signed in in this browser
   */
  constructor(user, { store, fetchUser, userReturned, userReplaced }) {
    this.#user = user;
    this.#store = store;
    this.#fetchUser = fetchUser;
    this.#userReturned = userReturned;
    this.#userReplaced = userReplaced;
  }

  /** Notify the other pages that this one is signed in. */
  announce() {
    try {
      this.#store.setItem(KEY, `${this.#user} ${Date.now()}`);
    } catch {
      // Full or not allowed: the other pages check from time to time.
    }
    // The event is enough, and after signing out nothing may stay in the storage.
    this.#store.removeItem(KEY);
  }

  /** @param {boolean} isSignedOut */
  setSignedOut(isSignedOut) {
    this.#isSignedOut = isSignedOut;
    this.#checkedAt = Date.now();
  }

  /** Another page wrote to the storage. @param {string | null} key */
  storageChanged(key) {
    if (key === KEY) this.checkUser();
  }

  /** Once a second. @param {boolean} isVisible */
  tick(isVisible) {
    if (isVisible && Math.abs(Date.now() - this.#checkedAt) >= CHECK_EVERY_MS) this.checkUser();
  }

  /** Check whether the user has signed in again. */
  async checkUser() {
    if (!this.#isSignedOut || this.#isChecking) return;
    this.#isChecking = true;
    this.#checkedAt = Date.now();
    try {
      const user = await this.#fetchUser();
      if (!this.#isSignedOut) return;
      if (user === this.#user) this.#userReturned();
      else if (user !== null) this.#userReplaced();
    } catch {
      // The server did not answer: check again later.
    } finally {
      this.#isChecking = false;
    }
  }
}
