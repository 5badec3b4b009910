/** Keeps who is writing in a room, and how often to say that the reader is. */

/** The server ignores more than one in this time. */
const SEND_MS = 3000;
/** A writer says it again every three seconds. After twice that time, and not before, they have stopped. */
const SHOWN_MS = 6500;

export class Writers {
  #onchange;
  /** The timers by which names disappear. @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();

  /** @param {(names: string[]) => void} onchange called with those who are writing, in the order in which they began */
  constructor(onchange) {
    this.#onchange = onchange;
  }

  /** @param {string} username */
  isWriting(username) {
    const before = this.#timers.get(username);
    clearTimeout(before);
    this.#timers.set(
      username,
      setTimeout(() => this.hasStopped(username), SHOWN_MS),
    );
    if (before === undefined) this.#changed();
  }

  /** Their message came, or they left. @param {string} username */
  hasStopped(username) {
    clearTimeout(this.#timers.get(username));
    if (this.#timers.delete(username)) this.#changed();
  }

  clear() {
    for (const username of [...this.#timers.keys()]) this.hasStopped(username);
  }

  #changed() {
    this.#onchange([...this.#timers.keys()]);
  }
}

export class TypingSignal {
  #send;
  #now;
  #sentAt = Number.NEGATIVE_INFINITY;

  /** @param {() => void} send @param {() => number} [now] */
  constructor(send, now = () => performance.now()) {
    this.#send = send;
    this.#now = now;
  }

  /** The text of a new message changed by the user. @param {string} text */
  changed(text) {
    if (text.trim() === "" || this.#now() - this.#sentAt < SEND_MS) return;
    this.#sentAt = this.#now();
    this.#send();
  }

  /** The message was sent, so that the next one is announced at once. */
  reset() {
    this.#sentAt = Number.NEGATIVE_INFINITY;
  }
}
