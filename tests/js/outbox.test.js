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

test("a message is stored before it is sent", () => {
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

test("a room waits while it has a message that is not saved, apart from copies", () => {
  const { outbox } = tab();
  outbox.add("1", "hi", { client_id: "c1" });
  outbox.add("2", "hi", { client_id: "c2", across: "16fd2706-8baf-433b-82eb-8c7fada847da" });
  assert.deepEqual([outbox.isWaiting("1"), outbox.isWaiting("2")], [true, false]);
  outbox.settle("c1", true);
  assert.equal(outbox.isWaiting("1"), false);
});

test("each room sends one message at a time, in order", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
  outbox.roomJoined("2");
  for (const text of ["a", "b"]) outbox.add("1", text);
  outbox.add("2", "other room");
  assert.deepEqual(texts(), ["a", "other room"]);
  outbox.settle(sent[0].client_id);
  assert.deepEqual(texts(), ["a", "other room", "b"]);
});

test("messages keep their order when the clock is set back", () => {
  const { outbox } = tab({ isOnline: false });
  outbox.add("1", "a");
  mock.timers.setTime(5);
  outbox.add("1", "b");
  assert.deepEqual(
    outbox.entriesOf("1").map(({ text }) => text),
    ["a", "b"],
  );
});

test("an acknowledged message leaves the storage at once, and the page with its event", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  outbox.settle(sent[0].client_id, true);
  assert.equal(store.length, 0);
  assert.deepEqual(states(outbox), [["a", "sent"]]);
  outbox.settle(sent[0].client_id);
  assert.deepEqual(states(outbox), []);
});

test("messages survive a reload and are sent under the same client_id", () => {
  const first = tab();
  first.outbox.roomJoined("1");
  first.outbox.add("1", "a");
  first.outbox.connectionLost();
  locks = new Locks(); // the tab is closed, which releases its locks
  const second = tab();
  assert.deepEqual(second.outbox.rooms, ["1"]);
  second.outbox.roomJoined("1");
  assert.deepEqual(second.sent, first.sent);
});

test("no message is sent to a room that is not joined", () => {
  const { outbox, sent } = tab();
  outbox.roomJoined("2");
  outbox.add("1", "a");
  assert.deepEqual(sent, []);
});

test("one of two tabs sends, and the other does when the first is closed", async () => {
  const first = tab();
  const second = tab();
  first.outbox.roomJoined("1");
  second.outbox.roomJoined("1");
  second.outbox.add("1", "from the second");
  assert.deepEqual(second.sent, []);
  first.outbox.storageChanged(store.key(0));
  assert.deepEqual(first.texts(), ["from the second"]);
  first.outbox.connectionLost();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(second.sent, first.sent);
});

test("a message that another tab settled is no longer shown", () => {
  const first = tab();
  const second = tab();
  first.outbox.roomJoined("1");
  first.outbox.add("1", "a");
  second.outbox.storageChanged(store.key(0));
  assert.deepEqual(states(second.outbox), [["a", "pending"]]);
  first.outbox.settle(first.sent[0].client_id);
  second.outbox.storageChanged(`multichat.outbox.7.${first.sent[0].client_id}`);
  assert.deepEqual(states(second.outbox), []);
});

test("a temporarily refused message is retried, and no other overtakes it", () => {
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

test("a message without an answer is sent again", () => {
  const { outbox, texts } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  mock.timers.tick(15_100);
  assert.deepEqual(texts(), ["a", "a"]);
});

test("a refused message is kept with its reason, and the next message is sent", () => {
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

test("a refused message can be retried or discarded", () => {
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

test("an error without a client_id is about the message in flight", () => {
  const { outbox } = tab();
  outbox.roomJoined("1");
  outbox.add("1", "a");
  outbox.refuse({ error: "MESSAGE_TOO_LONG", command: "send", room: "1" });
  assert.deepEqual(states(outbox), [["a", "failed"]]);
});

test("signing out empties the outbox, and another user's messages stay", () => {
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

test("a full storage does not prevent sending", () => {
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

test("a message that the server cannot read is offered back, and the next message is sent", () => {
  const { outbox, texts } = tab();
  outbox.roomJoined("1");
  outbox.roomJoined("2");
  for (const text of ["unreadable", "b"]) outbox.add("1", text);
  outbox.add("2", "other room");
  outbox.refuse({ error: "JSON_INVALID" });
  assert.deepEqual(states(outbox, "2"), [["other room", "pending"]]); // the error may be about either message
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

test("a message in flight can be discarded, and the next message is sent", () => {
  const { outbox, sent, texts } = tab();
  outbox.roomJoined("1");
  for (const text of ["a", "b"]) outbox.add("1", text);
  outbox.discard(sent[0].client_id);
  assert.deepEqual(texts(), ["a", "b"]);
  assert.equal(store.length, 1);
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a tab with a waiting message takes over from a tab with a dead connection, in order", async () => {
  const first = tab();
  const second = tab();
  first.outbox.roomJoined("1");
  second.outbox.roomJoined("1");
  first.outbox.add("1", "of the first");
  second.outbox.storageChanged(store.key(0));
  second.outbox.add("1", "of the second");
  first.outbox.storageChanged(store.key(1));
  mock.timers.tick(2900);
  assert.deepEqual(second.sent, []);
  mock.timers.tick(200);
  await settled();
  assert.deepEqual(second.sent, first.sent);
  second.outbox.settle(second.sent[0].client_id);
  assert.deepEqual(second.texts(), ["of the first", "of the second"]);
  second.outbox.settle(second.sent[1].client_id);
  for (const { client_id } of second.sent)
    first.outbox.storageChanged(`multichat.outbox.7.${client_id}`);
  first.outbox.add("1", "later");
  mock.timers.tick(2000);
  assert.deepEqual(first.texts(), ["of the first"]);
  second.outbox.connectionLost(); // the first tab has been waiting for the lock again
  await settled();
  assert.deepEqual(first.texts(), ["of the first", "later"]);
});

test("a tab does not take over for another tab's message", () => {
  const first = tab();
  const second = tab();
  first.outbox.roomJoined("1");
  second.outbox.roomJoined("1");
  first.outbox.add("1", "a");
  second.outbox.storageChanged(store.key(0));
  mock.timers.tick(10_000);
  assert.deepEqual(second.sent, []);
});

test("a record that the storage refused takes precedence over the stored one", () => {
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

test("a message for another log of the room is offered back and not sent", () => {
  tab({ isOnline: false, epochs: logs("old") }).outbox.add("1", "secret", { title: "Secret" });
  const { outbox, sent } = tab({ epochs: logs("new") });
  assert.deepEqual(outbox.rooms, []);
  outbox.roomJoined("1");
  assert.deepEqual(sent, []);
  assert.deepEqual(states(outbox), []);
  const [left] = outbox.orphans(new Map([["1", {}]]));
  assert.deepEqual([left.text, left.title], ["secret", "Secret"]);
});

test("a waiting message is not sent if its room is restored meanwhile", () => {
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

test("a message is sent for the log that it was written for, and offered back if that is gone", () => {
  const epochs = logs("old");
  const { outbox, sent } = tab({ epochs });
  outbox.roomJoined("1");
  // Restored, but the join frame that says so has not arrived.
  outbox.add("1", "secret");
  assert.deepEqual(
    sent.map(({ epoch }) => epoch),
    ["old"],
  );
  outbox.refuse({ error: "EPOCH_CHANGED", client_id: sent[0].client_id });
  assert.deepEqual(states(outbox), [["secret", "failed"]]);
  epochs.set("1", "new");
  outbox.roomJoined("1");
  assert.equal(sent.length, 1);
  assert.deepEqual(
    outbox.orphans(new Map([["1", {}]])).map(({ text }) => text),
    ["secret"],
  );
});

test("a message written before the room's epoch was known is sent to its log", () => {
  const epochs = new Map();
  const { outbox, texts } = tab({ epochs });
  outbox.add("1", "first");
  epochs.set("1", "a");
  outbox.roomJoined("1");
  assert.deepEqual(texts(), ["first"]);
  epochs.set("1", "b");
  assert.equal(outbox.orphans(new Map([["1", {}]])).length, 1);
});

test("a message that waited longer than a day is held, and the next message is sent", () => {
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

test("a draft sent from two tabs is one entry of the outbox", () => {
  const first = tab({ isOnline: false });
  const second = tab({ isOnline: false });
  first.outbox.add("1", "a", { client_id: "d1" });
  second.outbox.add("1", "a", { client_id: "d1" });
  assert.equal(store.length, 1);
});

test("a message discarded while it flies is still known as written here when it arrives", () => {
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

test("a lock that is always refused is requested a bounded number of times", async () => {
  for (const failure of ["rejects", "throws"]) {
    let asked = 0;
    store = new Store();
    locks = {
      request: () => {
        asked += 1;
        if (asked > 50) return new Promise(() => {}); // let the test end
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
    assert.equal(sent[0].message, failure); // the tab sends as if there were no locks
    outbox.connectionLost();
  }
});

test("a lock that is lost while the document is unloaded is requested only once more", async () => {
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

test("after signing out in another tab a message is not stored, and is reported as at risk", () => {
  const { outbox } = tab({ isOnline: false });
  outbox.close();
  outbox.add("1", "a");
  assert.equal(store.length, 0);
  assert.equal(outbox.isAtRisk, true);
  outbox.open();
  assert.equal(store.length, 1);
  assert.equal(outbox.isAtRisk, false);
});

test("a warning or an alert keeps its type over a reload and until it is sent", () => {
  tab({ isOnline: false }).outbox.add("1", "it burns", { type: 2 });
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  outbox.settle(sent[0].client_id);
  outbox.add("1", "all is well");
  assert.deepEqual(
    sent.map(({ message, msg_type }) => [message, msg_type]),
    [
      ["it burns", 2],
      ["all is well", undefined],
    ],
  );
});

test("files are stored with their message, and named when it is sent", () => {
  const { outbox, sent } = tab();
  const files = [
    { id: "1c0e4f52", name: "a.png", type: "image/png", size: 9, width: 3, height: 2 },
  ];
  outbox.roomJoined("1");
  outbox.add("1", "", { files });
  assert.deepEqual(sent[0].files, ["1c0e4f52"]);
  assert.deepEqual(outbox.entriesOf("1")[0].files, files);
  outbox.add("1", "without");
  outbox.settle(sent[0].client_id);
  assert.ok(!("files" in sent[1]));
});

test("a message keeps what it answers over a reload and until it is sent", () => {
  tab({ isOnline: false }).outbox.add("1", "an answer", { replyTo: 5 });
  const { outbox, sent } = tab();
  outbox.roomJoined("1");
  assert.equal(sent[0].reply_to, 5);
  outbox.settle(sent[0].client_id);
  outbox.add("1", "no answer");
  assert.equal("reply_to" in sent[1], false);
});
