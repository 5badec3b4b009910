/** One Web Lock that a tab waits for and then holds until it lets go: of several tabs, one sends a room's texts. */

export class RoomLock {
  isHeld = false;
  #locks;
  #name;
  #gained;
  #lost;
  #release = () => {};

  /**
   * @param {LockManager | undefined} locks undefined over plain http: then every tab holds it
   * @param {string} name
   * @param {{gained: () => void, lost: () => void}} told
   */
  constructor(locks, name, { gained, lost }) {
    this.#locks = locks;
    this.#name = name;
    this.#gained = gained;
    this.#lost = lost;
  }

  /**
   * Wait for the lock, and hold it until `release`.
   * @param {boolean} isStealing
   */
  acquire(isStealing = false) {
    this.release();
    const waiting = new AbortController();
    let isOver = false;
    let wasGranted = false;
    const held = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      this.#release = () => {
        isOver = true;
        waiting.abort();
        resolve();
      };
    });
    const begin = () => {
      wasGranted = true;
      if (isOver) return;
      this.isHeld = true;
      this.#gained();
    };
    const failed = () => {
      if (isOver) return;
      // Refused without a wait, as WebKit does while the document is being unloaded: asking again
      // would be refused again at once, for ever. Every tab sends then; client_id keeps it once.
      if (!wasGranted) return begin();
      // Stolen by another tab.
      this.isHeld = false;
      this.#lost();
      this.acquire();
    };
    if (this.#locks === undefined) return begin();
    const options = isStealing ? { steal: true } : { signal: waiting.signal };
    try {
      this.#locks
        .request(this.#name, options, () => {
          begin();
          return held;
        })
        .catch(failed);
    } catch {
      failed();
    }
  }

  release() {
    this.isHeld = false;
    this.#release();
  }
}
