import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { backoff, Connection } from "../../static/chat/model/connection.js";

class FakeSocket {
  sent = [];
  reconnects = 0;
  isClosed = false;
  constructor(url) {
    this.url = url;
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  reconnect() {
    this.reconnects += 1;
  }
  close() {
    this.isClosed = true;
  }
}

let socket;
let connection;
let states;
let frames;
/** How far the system clock was set back. */
let setBack;
const clock = () => Date.now() + setBack;

beforeEach(() => {
  setBack = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  mock.restoreAll();
  mock.method(Math, "random", () => 0.5);
  states = [];
  frames = [];
  connection = new Connection(
    "ws://chat/chat/stream/",
    (url) => {
      socket = new FakeSocket(url);
      return socket;
    },
    clock,
  );
  connection.start({
    stateChanged: (state) => states.push(state),
    frameReceived: (received) => frames.push(received),
  });
});

async function open() {
  const url = socket.url();
  mock.timers.tick(0);
  await url;
  socket.onopen();
  socket.onmessage({ data: '{"pong":true}' });
  socket.sent.length = 0;
}

/** Let seconds pass with a tick each, as in a page that is awake. */
function pass(seconds) {
  for (let i = 0; i < seconds; i += 1) {
    mock.timers.tick(1000);
    connection.tick();
  }
}

test("the wait grows to at most 30 s, with full jitter", () => {
  assert.deepEqual(
    [0, 1, 2, 6, 60].map((n) => backoff(n, 1)),
    [1000, 2000, 4000, 30_000, 30_000],
  );
  assert.equal(backoff(9, 0), 0);
});

test("commands are not buffered while the connection is not open", async () => {
  assert.equal(connection.send({ command: "ping" }), false);
  await open();
  assert.equal(connection.send({ command: "ping" }), true);
  assert.deepEqual(socket.sent, [{ command: "ping" }]);
});

test("a silent connection is pinged after 20 s and given up within 30 s", async () => {
  await open();
  pass(19);
  assert.equal(socket.sent.length, 0);
  pass(1);
  assert.deepEqual(socket.sent, [{ command: "ping" }]);
  pass(7);
  assert.equal(socket.reconnects, 0);
  pass(2);
  assert.equal(socket.reconnects, 1);
});

test("an answered ping keeps the connection", async () => {
  await open();
  pass(20);
  socket.onmessage({ data: '{"pong":true}' });
  pass(15);
  assert.equal(socket.reconnects, 0);
});

test("after sleep the connection is pinged at once and given up within seconds", async () => {
  await open();
  mock.timers.tick(60_000);
  connection.tick();
  assert.deepEqual(socket.sent, [{ command: "ping" }]);
  pass(5);
  assert.equal(socket.reconnects, 1);
});

test("waking ends the wait for the next attempt", async () => {
  await open();
  socket.onclose({ code: 1006 });
  const url = socket.url();
  assert.equal(connection.state, "waiting");
  connection.wake();
  assert.equal(await url, "ws://chat/chat/stream/");
  assert.equal(connection.state, "connecting");
});

test("attempts wait longer and longer until a connection was stable for 10 s", async () => {
  await open();
  const waits = [];
  for (let i = 0; i < 3; i += 1) {
    socket.onclose({ code: 1006 });
    socket.url();
    waits.push(connection.retryAt - Date.now());
    connection.wake();
  }
  assert.deepEqual(waits, [1000, 2000, 4000]);
  socket.onopen();
  socket.onmessage({ data: '{"pong":true}' });
  pass(10);
  socket.onclose({ code: 1006 });
  socket.url();
  assert.equal(connection.retryAt - Date.now(), 500);
});

test("a bye sets the wait before the next attempt", async () => {
  await open();
  socket.onmessage({ data: '{"bye":{"retry_ms":3400}}' });
  socket.onclose({ code: 1012 });
  socket.url();
  assert.equal(connection.retryAt - Date.now(), 3400);
});

test("after a bye the page shows reconnecting, and offline only if the server stays away", async () => {
  await open();
  socket.onmessage({ data: '{"bye":{"retry_ms":3400}}' });
  socket.onclose({ code: 1012 });
  socket.url();
  assert.equal(connection.state, "returning");
  pass(4);
  assert.equal(connection.state, "connecting");
  socket.url(); // refused, because the server is not up yet
  assert.equal(connection.state, "returning");
  pass(11);
  socket.url();
  assert.equal(connection.state, "waiting");
});

test("close code 4401 signs the page out", async () => {
  await open();
  socket.onclose({ code: 4401 });
  socket.url(); // requested before the close is reported
  assert.equal(connection.state, "signed out");
  assert.equal(socket.isClosed, true);
});

test("frames are decoded before they are passed on", async () => {
  await open();
  socket.onmessage({ data: '{"ack":"u","room":"1","seq":3}' });
  socket.onmessage({ data: "not json" });
  assert.deepEqual(
    frames.map(({ kind }) => kind),
    ["pong", "ack", "unknown"],
  );
});

test("after a flood the page waits as long as the server said, even if it is woken", async () => {
  await open();
  socket.onmessage({ data: '{"error":"RATE_LIMITED","detail":"Too much.","retry_after":10}' });
  socket.onclose({ code: 4429 });
  socket.url();
  assert.equal(connection.state, "waiting");
  assert.equal(connection.retryAt - Date.now(), 15_000);
  connection.wake();
  pass(14);
  assert.equal(connection.state, "waiting");
  pass(1);
  assert.equal(connection.state, "connecting");
});

test("a rate-limited command does not affect the connection", async () => {
  await open();
  socket.onmessage({
    data: '{"error":"RATE_LIMITED","command":"send","room":"1","retry_after":10}',
  });
  socket.onclose({ code: 1006 });
  socket.url();
  assert.ok(connection.retryAt - Date.now() <= 1000);
});

test("a connection is open only after the server has answered", async () => {
  const url = socket.url();
  mock.timers.tick(0);
  await url;
  socket.onopen();
  assert.deepEqual(socket.sent, [{ command: "ping" }]);
  assert.equal(connection.send({ command: "join", room: "1" }), false);
  socket.onmessage({ data: '{"error":"USER_HAS_TO_LOGIN"}' });
  assert.deepEqual(states, []);
  socket.onclose({ code: 4401 });
  assert.deepEqual(states, ["signed out"]);
  assert.equal(socket.sent.length, 1);
});

test("a connection that opens and never answers is given up", async () => {
  socket.url();
  socket.onopen();
  pass(9);
  assert.equal(socket.reconnects, 1);
});

test("a hidden tab, which ticks once a minute, gives up a dead connection too", async () => {
  await open();
  mock.timers.tick(60_000);
  connection.tick();
  assert.deepEqual(socket.sent, [{ command: "ping" }]);
  mock.timers.tick(60_000);
  connection.tick();
  assert.equal(socket.reconnects, 1);
});

test("a system clock that is set back hides no dead connection", async () => {
  await open();
  setBack = 600_000;
  mock.timers.setTime(Date.now() - setBack);
  connection.tick();
  pass(29);
  assert.equal(socket.reconnects, 1);
});

test("a signed-out page reconnects when its user has signed in again", async () => {
  await open();
  const old = socket;
  socket.onclose({ code: 4401 });
  socket.url(); // the socket asks for its next URL before it is closed
  states.length = 0;
  connection.signedInAgain();
  assert.notEqual(socket, old);
  await open();
  assert.deepEqual(states, ["connecting", "open"]);
  mock.timers.tick(60_000);
  assert.equal(connection.state, "open");
  connection.signedInAgain(); // no effect, because the page is not signed out
  assert.deepEqual(states, ["connecting", "open"]);
});
