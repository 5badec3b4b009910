import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Outbox } from "../../static/chat/model/outbox.js";
import { Locks } from "./locks.js";
import { Store } from "./store.js";

let store;
let locks;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  store = new Store();
  locks = new Locks();
});

function tab({ user = 7, isOnline = true, epochs } = {}) {
  const sent = [];
  const line = { isOnline };
  const send = (command) => line.isOnline && sent.push(command) > 0;
  const outbox = new Outbox(user, { store, send, locks, epochs });
  return { outbox, sent, line, texts: () => sent.map(({ message }) => message) };
}

const states = (outbox, room = "1") =>
  outbox.entriesOf(room).map(({ text, state }) => [text, state]);

test("a text is stored before it is sent", () => {
  let storedWhenSent = 0;
  const outbox = new Outbox(7, {
    store,
    send: () => {
      storedWhenSent = store.length;
      return true;
    },
  });
  outbox.roomJoined("1");
  outbox.add("1", "hi");
  assert.equal(storedWhenSent, 1);
});

test("one send at a time in each room, in order", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
  outbox.roomJoined("2");
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
    outbox.entriesOf("1").map(({ text }) => text),
    ["a", "b"],
  );
});

test("an acknowledged text leaves the store at once and the page with its event", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  outbox.settle(sent[0].client_id, true);
  assert.equal(store.length, 0);
  assert.deepEqual(states(outbox), [["a", "sent"]]);
  outbox.settle(sent[0].client_id);
  assert.deepEqual(states(outbox), []);
});

test("texts survive a reload and go under the same client_id", () => {
  const first = tab();
  first.outbox.roomJoined("1");
  first.outbox.add("1", "a");
  first.outbox.connectionLost();
  locks = new Locks(); // the tab is gone, and its locks with it
  const second = tab();
  assert.deepEqual(second.outbox.rooms, ["1"]);
  second.outbox.roomJoined("1");
  assert.deepEqual(second.sent, first.sent);
});

test("nothing is sent into a room that is not joined", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("2");
  outbox.add("1", "a");
  assert.deepEqual(sent, []);
});

test("of two tabs one sends, and the other when the first is gone", async () => {
  const one = tab();
  const two = tab();
  one.outbox.roomJoined("1");
  two.outbox.roomJoined("1");
  two.outbox.add("1", "from the second");
  assert.deepEqual(two.sent, []);
  one.outbox.storageChanged(store.key(0));
  assert.deepEqual(one.texts(), ["from the second"]);
  one.outbox.connectionLost();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(two.sent, one.sent);
});

test("a text that another tab settled is not shown any more", () => {
  const one = tab();
  const two = tab();
  one.outbox.roomJoined("1");
  one.outbox.add("1", "a");
  two.outbox.storageChanged(store.key(0));
  assert.deepEqual(states(two.outbox), [["a", "pending"]]);
  one.outbox.settle(one.sent[0].client_id);
  two.outbox.storageChanged(`multichat.outbox.7.${one.sent[0].client_id}`);
  assert.deepEqual(states(two.outbox), []);
});

test("'later' is waited for, and nothing overtakes", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
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
  outbox.roomJoined("1");
  outbox.add("1", "a");
  mock.timers.tick(15_100);
  assert.deepEqual(texts(), ["a", "a"]);
});

test("a refused text is kept with its reason, and the next one goes", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  outbox.add("1", "b");
  outbox.refuse({ error: "USER_MUTED", client_id: sent[0].client_id });
  assert.deepEqual(states(outbox), [
    ["a", "failed"],
    ["b", "pending"],
  ]);
  assert.deepEqual(texts(), ["a", "b"]);
  assert.equal(tab().outbox.entriesOf("1")[0].code, "USER_MUTED");
});

test("a refused text can be tried again or discarded", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
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
  outbox.roomJoined("1");
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
      .outbox.entriesOf("1")
      .map(({ text }) => text),
    ["of the other"],
  );
});

test("a full store does not keep a text from being sent", () => {
  store.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const { outbox, texts } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  outbox.add("1", "b");
  outbox.storageChanged(null);
  outbox.roomJoined("1");
  assert.deepEqual(states(outbox), [
    ["a", "pending"],
    ["b", "pending"],
  ]);
  assert.equal(texts()[0], "a");
});

test("a text that the server cannot read is offered back, and the next one goes", () => {
  const { outbox, texts } = tab();
  outbox.roomJoined("1");
  outbox.roomJoined("2");
  for (const text of ["unreadable", "b"]) outbox.add("1", text);
  outbox.add("2", "other room");
  outbox.refuse({ error: "JSON_INVALID" });
  assert.deepEqual(states(outbox, "2"), [["other room", "pending"]]); // of which of the two?
  outbox.settle(outbox.entriesOf("2")[0].client_id);
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
  outbox.roomJoined("1");
  for (const text of ["a", "b"]) outbox.add("1", text);
  outbox.discard(sent[0].client_id);
  assert.deepEqual(texts(), ["a", "b"]);
  assert.equal(store.length, 1);
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a tab whose text waits takes over from one whose line is dead, and its order is kept", async () => {
  const one = tab();
  const two = tab();
  one.outbox.roomJoined("1");
  two.outbox.roomJoined("1");
  one.outbox.add("1", "of the first");
  two.outbox.storageChanged(store.key(0));
  two.outbox.add("1", "of the second");
  one.outbox.storageChanged(store.key(1));
  mock.timers.tick(2900);
  assert.deepEqual(two.sent, []);
  mock.timers.tick(200);
  await settled();
  assert.deepEqual(two.sent, one.sent);
  two.outbox.settle(two.sent[0].client_id);
  assert.deepEqual(two.texts(), ["of the first", "of the second"]);
  two.outbox.settle(two.sent[1].client_id);
  for (const { client_id } of two.sent)
    one.outbox.storageChanged(`multichat.outbox.7.${client_id}`);
  one.outbox.add("1", "later");
  mock.timers.tick(2000);
  assert.deepEqual(one.texts(), ["of the first"]);
  two.outbox.connectionLost(); // the first has waited for its turn again
  await settled();
  assert.deepEqual(one.texts(), ["of the first", "later"]);
});

test("a text of another tab is no reason to take over", () => {
  const one = tab();
  const two = tab();
  one.outbox.roomJoined("1");
  two.outbox.roomJoined("1");
  one.outbox.add("1", "a");
  two.outbox.storageChanged(store.key(0));
  mock.timers.tick(10_000);
  assert.deepEqual(two.sent, []);
});

test("what the store did not take counts more than what it still has", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  assert.equal(outbox.isAtRisk, false);
  const { setItem } = store;
  store.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  outbox.refuse({ error: "USER_MUTED", client_id: sent[0].client_id });
  assert.equal(outbox.isAtRisk, true);
  outbox.storageChanged(null);
  assert.deepEqual(states(outbox), [["a", "failed"]]);
  store.setItem = setItem;
  outbox.discard(sent[0].client_id);
  assert.equal(outbox.isAtRisk, false);
});

const logs = (epoch) => new Map([["1", epoch]]);

test("a text for another log of the room is offered back and not sent", () => {
  tab({ isOnline: false, epochs: logs("old") }).outbox.add("1", "secret", { title: "Secret" });
  const { outbox, sent } = tab({ epochs: logs("new") });
  assert.deepEqual(outbox.rooms, []);
  outbox.roomJoined("1");
  assert.deepEqual(sent, []);
  assert.deepEqual(states(outbox), []);
  const [left] = outbox.orphans(new Map([["1", {}]]));
  assert.deepEqual([left.text, left.title], ["secret", "Secret"]);
});

test("a room that is restored while its text waits keeps the text from going", () => {
  const epochs = logs("old");
  const { outbox, sent, line } = tab({ epochs });
  line.isOnline = false;
  outbox.add("1", "secret");
  line.isOnline = true;
  epochs.set("1", "new");
  outbox.roomJoined("1");
  assert.deepEqual(sent, []);
  assert.equal(outbox.orphans(new Map()).length, 1);
});

test("a text that was written before the room's log was known goes into it", () => {
  const epochs = new Map();
  const { outbox, texts } = tab({ epochs });
  outbox.add("1", "first");
  epochs.set("1", "a");
  outbox.roomJoined("1");
  assert.deepEqual(texts(), ["first"]);
  epochs.set("1", "b");
  assert.equal(outbox.orphans(new Map([["1", {}]])).length, 1);
});

test("a text that waited longer than a day is asked about, and the next one goes", () => {
  tab({ isOnline: false }).outbox.add("1", "restart the primary now");
  mock.timers.setTime(1_000_000 + 86_400_001);
  const { outbox, texts, sent } = tab();
  outbox.add("1", "fresh");
  outbox.roomJoined("1");
  assert.deepEqual(texts(), ["fresh"]);
  assert.deepEqual(states(outbox)[0], ["restart the primary now", "held"]);
  outbox.settle(sent[0].client_id);
  outbox.retry(outbox.entriesOf("1")[0].client_id);
  assert.deepEqual(texts(), ["fresh", "restart the primary now"]);
});

test("a draft that stands in two tabs is one text in the outbox", () => {
  const one = tab({ isOnline: false });
  const two = tab({ isOnline: false });
  one.outbox.add("1", "a", { client_id: "d1" });
  two.outbox.add("1", "a", { client_id: "d1" });
  assert.equal(store.length, 1);
});

test("a text that is discarded while it flies is still known as one's own when it comes", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  const { client_id } = sent[0];
  outbox.discard(client_id);
  assert.deepEqual(states(outbox), []);
  outbox.settle(client_id, true); // the ack
  assert.equal(outbox.has(client_id), true);
  outbox.settle(client_id); // the event
  assert.equal(outbox.has(client_id), false);
});

test("locks that are always refused are asked for a bounded number of times", async () => {
  for (const failure of ["rejects", "throws"]) {
    let asked = 0;
    store = new Store();
    locks = {
      request: () => {
        asked += 1;
        if (asked > 50) return new Promise(() => {}); // enough is known: let the test end
        if (failure === "throws") throw new Error("SecurityError");
        return Promise.reject(new DOMException("going away", "AbortError"));
      },
    };
    const { outbox, sent } = tab();
    outbox.roomJoined("1");
    outbox.add("1", failure);
    for (let i = 0; i < 20; i += 1) await settled();
    mock.timers.tick(10_000);
    assert.ok(asked < 4, `asked ${asked} times`);
    assert.equal(sent[0].message, failure); // as without locks
    outbox.connectionLost();
  }
});

test("a lock that is lost while the document goes is asked for once more and no oftener", async () => {
  let asked = 0;
  locks = {
    request: (_name, _options, callback) => {
      asked += 1;
      if (asked > 50) return new Promise(() => {});
      if (asked > 1) return Promise.reject(new DOMException("", "InvalidStateError"));
      callback();
      return Promise.reject(new DOMException("", "AbortError"));
    },
  };
  const { outbox } = tab();
  outbox.roomJoined("1");
  for (let i = 0; i < 20; i += 1) await settled();
  assert.equal(asked, 2);
});

test("after signing out in another tab a text is not stored, and that is said", () => {
  const { outbox } = tab({ isOnline: false });
  outbox.close();
  outbox.add("1", "a");
  assert.equal(store.length, 0);
  assert.equal(outbox.isAtRisk, true);
  outbox.open();
  assert.equal(store.length, 1);
  assert.equal(outbox.isAtRisk, false);
});
