/** By which names users are shown: the names that they chose, and until these are known, their usernames. */

/** A user's id, the name that they chose, and the key of their picture; without an id, no user has the username. @typedef {{user?: number, name?: string, picture?: string}} ShownUser */

export class ShownNames {
  /** By username. A user who was asked for and has no answer yet is known without a name. @type {Map<string, ShownUser>} */
  #known = new Map();
  /** @type {Set<string>} */
  #wanted = new Set();
  /** Whether `onwanted` is about to be called. */
  #isWaiting = false;

  /** The reader. A renamed reader is known by the new username from then on. */
  me = { id: 0, username: "" };

  /** Names are shown that nobody has asked the server for. */
  onwanted = () => {};

  /**
   * The name that a user is shown by.
   * @param {string} username
   * @param {number} [user] the id of a message's author: another user may have the username by now
   */
  of(username, user) {
    const known = this.#known.get(username);
    if (known?.name && (user ?? known.user) === known.user) return known.name;
    if (!known && username) this.#want([username]);
    return username;
  }

  /** The address of a user's picture, or "". @param {string} username @param {number} [user] as for `of` */
  pictureOf(username, user) {
    const known = this.#known.get(username);
    const isTheirs = known?.picture && (user ?? known.user) === known.user;
    return isTheirs ? `/pictures/${known.picture}/` : "";
  }

  /** The usernames to ask the server for. */
  takeWanted() {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (const username of wanted) if (!this.#known.has(username)) this.#known.set(username, {});
    return wanted;
  }

  /** @param {Record<string, ShownUser>} users by username */
  learn(users) {
    for (const [username, user] of Object.entries(users)) {
      this.#known.set(username, user);
      if (user.user === this.me.id) this.me.username = username;
    }
  }

  /** Changes may have been missed, so ask for all names again. */
  askAgain() {
    this.#want([...this.#known.keys()]);
  }

  /** @param {string[]} usernames */
  #want(usernames) {
    for (const username of usernames) this.#wanted.add(username);
    // Names may be left from before the connection was open, so their number does not say whether they are asked for.
    if (this.#isWaiting || this.#wanted.size === 0) return;
    this.#isWaiting = true;
    queueMicrotask(() => {
      this.#isWaiting = false;
      this.onwanted();
    });
  }
}

/** Those of this page. What is loaded later is bundled with a copy of this module, and has to share them. */
const page = /** @type {{multichatNames?: ShownNames}} */ (globalThis);
page.multichatNames ??= new ShownNames();
export const shownNames = page.multichatNames;
