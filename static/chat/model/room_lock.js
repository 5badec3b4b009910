/** A Web Lock for each room, held until it is released, so that only one of several tabs sends a room's messages. */

export class RoomLock {
  isHeld = false;
  #locks;
  #name;
  #gained;
  #lost;
  #release = () => {};

  /**
   * @param {LockManager | undefined} locks undefined over plain HTTP, where every tab counts as the holder
   * @param {string} name
   * @param {{gained: () => void, lost: () => void}} listener
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
    const granted = () => {
      wasGranted = true;
      if (isOver) return;
      this.isHeld = true;
      this.#gained();
    };
    const failed = () => {
      if (isOver) return;
      // WebKit refuses at once while the document is being unloaded, and would refuse again for ever.
      // Every tab sends then, and client_id keeps each message from being posted twice.
      if (!wasGranted) return granted();
      // Another tab stole the lock.
      this.isHeld = false;
      this.#lost();
      this.acquire();
    };
    if (this.#locks === undefined) return granted();
    const options = isStealing ? { steal: true } : { signal: waiting.signal };
    try {
      this.#locks
        .request(this.#name, options, () => {
          granted();
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
