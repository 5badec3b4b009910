import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";
import { createContext, runInContext } from "node:vm";

const SOURCE = readFileSync(
  new URL("../../static/chat/service_worker.js", import.meta.url),
  "utf8",
);

let shown;
let opened;
let pages;
let listeners;

beforeEach(() => {
  [shown, opened, pages, listeners] = [[], [], [], {}];
  const worker = {
    URL,
    addEventListener: (kind, act) => {
      listeners[kind] = act;
    },
    registration: {
      showNotification: async (title, options) => shown.push({ title, ...options }),
    },
    clients: {
      matchAll: async () => pages,
      openWindow: async (address) => opened.push(address),
    },
  };
  runInContext(SOURCE, createContext(worker));
});

async function dispatch(kind, event) {
  const waits = [];
  listeners[kind]({ ...event, waitUntil: (done) => waits.push(done) });
  await Promise.all(waits);
}

const push = (message) => dispatch("push", { data: { json: () => message } });
const click = (data) =>
  dispatch("notificationclick", { notification: { data, close: () => shown.pop() } });

test("a push without a text says only that there is something new", async () => {
  await push({ room: "3", seq: 7 });
  const [{ title, body, tag }] = shown;
  assert.deepEqual([title, body, tag], ["Multichat", "You have new messages.", "room-3"]);
});

test("a text cannot change the direction of what stands around it", async () => {
  await push({ room: "3", seq: 7, title: "Lob\u202eby", author: "bob", text: "a\n b\u2069" });
  const [{ title, body }] = shown;
  const isolate = (text) => `\u2068${text}\u2069`;
  assert.equal(title, isolate("Lobby"));
  assert.equal(body, `${isolate("bob")}: ${isolate("a b")}`);
});

test("a click goes to the message in an open page, otherwise in a new one", async () => {
  await push({ room: "3", seq: 7 });
  const received = [];
  const page = (path) => ({
    url: `https://chat.example.com${path}`,
    focus: async () => received.push("focus"),
    postMessage: ({ room, seq }) => received.push([path, room, seq]),
  });
  for (const address of ["/", "/chat/Lobby/"]) {
    pages = [page("/accounts/"), page(address)];
    await click({ room: "3", seq: 7 });
    assert.deepEqual(received.splice(0), ["focus", [address, "3", 7]]);
  }
  assert.equal(shown.length, 0);
  pages = [page("/accounts/")];
  await click({ room: "3", seq: 7 });
  assert.deepEqual(opened.splice(0), ["/?rooms=3&at=3.7"]);
  const closed = { ...page("/"), focus: () => Promise.reject(new TypeError("closed")) };
  pages = [closed];
  await click({ room: "3", seq: 7 });
  assert.deepEqual([received, opened], [[], ["/?rooms=3&at=3.7"]]);
});
