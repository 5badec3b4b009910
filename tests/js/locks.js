/** Web Locks shared by the tabs of a test. They are granted at once, not a microtask later. */
export class Locks {
  #queues = new Map();
  request(name, { signal, steal }, callback) {
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const turn = {
        reject,
        run: () =>
          callback()
            .then(() => this.#end(queue, turn))
            .then(resolve),
      };
      if (steal) queue.shift()?.reject(new DOMException("stolen", "AbortError"));
      if (steal) queue.unshift(turn);
      else queue.push(turn);
      signal?.addEventListener("abort", () => {
        if (queue.indexOf(turn) > 0) queue.splice(queue.indexOf(turn), 1);
        reject(signal.reason);
      });
      if (queue[0] === turn) turn.run();
    });
  }
  #end(queue, turn) {
    if (!queue.includes(turn)) return;
    queue.splice(queue.indexOf(turn), 1);
    queue[0]?.run();
  }
}
