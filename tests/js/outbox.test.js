import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Outbox } from "../../static/chat/outbox.js";
import { Store } from "./store.js";

/** Web Locks, shared by the tabs of a test; granted at once, not a microtask later. */
class Locks {
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

let store;
let locks;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  store = new Store();
  locks = new Locks();
});

function tab({ user = 7, isOnline = true } = {}) {
  const sent = [];
  const line = { isOnline };
  const send = (command) => line.isOnline && sent.push(command) > 0;
  const outbox = new Outbox(user, { store, send, locks });
  return { outbox, sent, line, texts: () => sent.map(({ message }) => message) };
}

const states = (outbox, room = "1") => outbox.of(room).map(({ text, state }) => [text, state]);

test("a text is stored before it is sent", () => {
  let storedWhenSent = 0;
  const outbox = new Outbox(7, {
    store,
    send: () => {
      storedWhenSent = store.length;
      return true;
    },
  });
  outbox.joined("1");
  outbox.add("1", "hi");
  assert.equal(storedWhenSent, 1);
});

test("one send at a time in each room, in order", () => {
  const { outbox, sent, texts } = tab();
  outbox.joined("1");
  outbox.joined("2");
  for (const text of ["a", "b"]) outbox.add("1", text);
  outbox.add("2", "other room");
  assert.deepEqual(texts(), ["a", "other room"]);
  outbox.settle(sent[0].client_id);
  assert.deepEqual(texts(), ["a", "other room", "b"]);
});

test("order is kept when the clock was set back", () => {
  const { outbox } = tab({ isOnline: false });
  outbox.add("1", "a");
  mock.timers.setTime(5);
  outbox.add("1", "b");
  assert.deepEqual(
    outbox.of("1").map(({ text }) => text),
    ["a", "b"],
  );
});

test("an acknowledged text leaves the store at once and the page with its event", () => {
  const { outbox, sent } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  outbox.settle(sent[0].client_id, true);
  assert.equal(store.length, 0);
  assert.deepEqual(states(outbox), [["a", "sent"]]);
  outbox.settle(sent[0].client_id);
  assert.deepEqual(states(outbox), []);
});

test("texts survive a reload and go under the same client_id", () => {
  const first = tab();
  first.outbox.joined("1");
  first.outbox.add("1", "a");
  first.outbox.partedAll();
  locks = new Locks(); // the tab is gone, and its locks with it
  const second = tab();
  assert.deepEqual(second.outbox.rooms, ["1"]);
  second.outbox.joined("1");
  assert.deepEqual(second.sent, first.sent);
});

test("nothing is sent into a room that is not joined", () => {
  const { outbox, sent } = tab();
  outbox.joined("2");
  outbox.add("1", "a");
  assert.deepEqual(sent, []);
});

test("of two tabs one sends, and the other when the first is gone", async () => {
  const one = tab();
  const two = tab();
  one.outbox.joined("1");
  two.outbox.joined("1");
  two.outbox.add("1", "from the second");
  assert.deepEqual(two.sent, []);
  one.outbox.heard(store.key(0));
  assert.deepEqual(one.texts(), ["from the second"]);
  one.outbox.partedAll();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(two.sent, one.sent);
});

test("a text that another tab settled is not shown any more", () => {
  const one = tab();
  const two = tab();
  one.outbox.joined("1");
  one.outbox.add("1", "a");
  two.outbox.heard(store.key(0));
  assert.deepEqual(states(two.outbox), [["a", "pending"]]);
  one.outbox.settle(one.sent[0].client_id);
  two.outbox.heard(`multichat.outbox.7.${one.sent[0].client_id}`);
  assert.deepEqual(states(two.outbox), []);
});

test("'later' is waited for, and nothing overtakes", () => {
  const { outbox, sent, texts } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  outbox.add("1", "b");
  outbox.refuse({ error: "RATE_LIMITED", client_id: sent[0].client_id, retry_after: 3 });
  mock.timers.tick(2900);
  assert.deepEqual(texts(), ["a"]);
  mock.timers.tick(200);
  assert.deepEqual(texts(), ["a", "a"]);
  assert.equal(sent[0].client_id, sent[1].client_id);
});

test("without any answer it is sent again", () => {
  const { outbox, texts } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  mock.timers.tick(15_100);
  assert.deepEqual(texts(), ["a", "a"]);
});

test("a refused text is kept with its reason, and the next one goes", () => {
  const { outbox, sent, texts } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  outbox.add("1", "b");
  outbox.refuse({ error: "USER_MUTED", client_id: sent[0].client_id });
  assert.deepEqual(states(outbox), [
    ["a", "failed"],
    ["b", "pending"],
  ]);
  assert.deepEqual(texts(), ["a", "b"]);
  assert.equal(tab().outbox.of("1")[0].code, "USER_MUTED");
});

test("a refused text can be tried again or discarded", () => {
  const { outbox, sent, texts } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  const { client_id } = sent[0];
  outbox.refuse({ error: "USER_MUTED", client_id });
  outbox.retry(client_id);
  assert.deepEqual(texts(), ["a", "a"]);
  assert.equal(sent[1].client_id, client_id);
  outbox.refuse({ error: "USER_MUTED", client_id });
  outbox.discard(client_id);
  assert.equal(store.length, 0);
});

test("an error without a client_id is of the text that flies", () => {
  const { outbox } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  outbox.refuse({ error: "MESSAGE_TOO_LONG", command: "send", room: "1" });
  assert.deepEqual(states(outbox), [["a", "failed"]]);
});

test("signing out empties it, and another user's texts stay", () => {
  tab({ user: 8, isOnline: false }).outbox.add("1", "of the other");
  const { outbox } = tab({ isOnline: false });
  outbox.add("1", "mine");
  outbox.clear();
  assert.equal(store.length, 1);
  assert.deepEqual(
    tab({ user: 8 })
      .outbox.of("1")
      .map(({ text }) => text),
    ["of the other"],
  );
});

test("a full store does not keep a text from being sent", () => {
  store.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const { outbox, texts } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  outbox.add("1", "b");
  outbox.heard(null);
  outbox.joined("1");
  assert.deepEqual(states(outbox), [
    ["a", "pending"],
    ["b", "pending"],
  ]);
  assert.equal(texts()[0], "a");
});

test("a text that the server cannot read is offered back, and the next one goes", () => {
  const { outbox, texts } = tab();
  outbox.joined("1");
  outbox.joined("2");
  for (const text of ["unreadable", "b"]) outbox.add("1", text);
  outbox.add("2", "other room");
  outbox.refuse({ error: "JSON_INVALID" });
  assert.deepEqual(states(outbox, "2"), [["other room", "pending"]]); // of which of the two?
  outbox.settle(outbox.of("2")[0].client_id);
  outbox.refuse({ error: "USER_HAS_TO_LOGIN" });
  mock.timers.tick(15_100);
  outbox.refuse({ error: "JSON_INVALID" });
  assert.deepEqual(states(outbox), [
    ["unreadable", "failed"],
    ["b", "pending"],
  ]);
  assert.equal(texts().at(-1), "b");
});

test("a text on its way can be discarded, and the next one goes", () => {
  const { outbox, sent, texts } = tab();
  outbox.joined("1");
  for (const text of ["a", "b"]) outbox.add("1", text);
  outbox.discard(sent[0].client_id);
  assert.deepEqual(texts(), ["a", "b"]);
  assert.equal(store.length, 1);
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a tab whose text waits takes over from one whose line is dead, and its order is kept", async () => {
  const one = tab();
  const two = tab();
  one.outbox.joined("1");
  two.outbox.joined("1");
  one.outbox.add("1", "of the first");
  two.outbox.heard(store.key(0));
  two.outbox.add("1", "of the second");
  one.outbox.heard(store.key(1));
  mock.timers.tick(2900);
  assert.deepEqual(two.sent, []);
  mock.timers.tick(200);
  await settled();
  assert.deepEqual(two.sent, one.sent);
  two.outbox.settle(two.sent[0].client_id);
  assert.deepEqual(two.texts(), ["of the first", "of the second"]);
  two.outbox.settle(two.sent[1].client_id);
  one.outbox.heard(null);
  one.outbox.add("1", "later");
  mock.timers.tick(2000);
  assert.deepEqual(one.texts(), ["of the first"]);
  two.outbox.partedAll(); // the first has waited for its turn again
  await settled();
  assert.deepEqual(one.texts(), ["of the first", "later"]);
});

test("a text of another tab is no reason to take over", () => {
  const one = tab();
  const two = tab();
  one.outbox.joined("1");
  two.outbox.joined("1");
  one.outbox.add("1", "a");
  two.outbox.heard(store.key(0));
  mock.timers.tick(10_000);
  assert.deepEqual(two.sent, []);
});

test("what the store did not take counts more than what it still has", () => {
  const { outbox, sent } = tab();
  outbox.joined("1");
  outbox.add("1", "a");
  assert.equal(outbox.isAtRisk, false);
  const { setItem } = store;
  store.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  outbox.refuse({ error: "USER_MUTED", client_id: sent[0].client_id });
  assert.equal(outbox.isAtRisk, true);
  outbox.heard(null);
  assert.deepEqual(states(outbox), [["a", "failed"]]);
  store.setItem = setItem;
  outbox.discard(sent[0].client_id);
  assert.equal(outbox.isAtRisk, false);
});
