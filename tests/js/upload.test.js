import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { AttachedFiles } from "../../static/chat/model/attached_files.js";
import { fileNames, sizeWords } from "../../static/chat/model/files.js";
import { Upload } from "../../static/chat/model/upload.js";

const FACTS = {
  id: "1c0e4f52-93a0-4a3e-8c6b-0f5d8a7be9d1",
  name: "a.txt",
  type: "text/plain",
  size: 4,
};

const settled = () => new Promise(setImmediate);

class Request {
  upload = {};
  headers = {};
  isAborted = false;
  onloadend = null;
  open(...how) {
    this.how = how;
  }
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  send(body) {
    this.body = body;
  }
  abort() {
    this.isAborted = true;
    this.answer(0);
  }
  answer(status, body = "") {
    this.status = status;
    this.responseText = typeof body === "string" ? body : JSON.stringify(body);
    this.onloadend();
  }
}

/** An upload that has a place whenever it wants one. */
function uploading(name = "a.txt", more = {}) {
  const requests = [];
  const upload = new Upload(
    { name, size: 4 },
    {
      room: "3",
      headers: () => ({ "X-CSRFToken": "t" }),
      changed: () => upload.canStart && upload.start(),
      ...more,
      request: () => {
        requests.push(new Request());
        return requests.at(-1);
      },
    },
  );
  upload.start();
  return { upload, requests };
}

test("without an answer, a page that is connected leaves the next try to the user", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let isConnected = true;
  const { upload, requests } = uploading("a.txt", { isConnected: () => isConnected });
  for (const delay of [1_000, 3_000, 8_000, 15_000]) {
    requests.at(-1).answer(0);
    assert.equal(upload.state, "waiting");
    mock.timers.tick(delay);
  }
  requests.at(-1).answer(0);
  assert.deepEqual([upload.state, requests.length], ["failed", 5]);
  upload.retry();
  isConnected = false;
  for (let tries = 0; tries < 10; tries++) {
    requests.at(-1).answer(0);
    assert.equal(upload.state, "waiting");
    mock.timers.tick(15_000);
  }
  mock.timers.reset();
});

test("a file is the body of a post to its room, and its name is in the address", () => {
  const { upload, requests } = uploading("a&b \ud800.txt");
  assert.equal(withoutKey(requests[0]), "POST /rooms/3/files/?name=a%26b%20%EF%BF%BD.txt");
  assert.equal(requests[0].headers["X-CSRFToken"], "t");
  requests[0].upload.onprogress({ loaded: 1, total: 4 });
  assert.equal(upload.progress, 0.25);
  requests[0].answer(200, FACTS);
  assert.equal(upload.state, "done");
  assert.deepEqual(upload.facts, FACTS);
});

test("each upload has a key, and keeps it however often it is tried", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { upload, requests } = uploading();
  for (const delay of DELAYS) {
    requests.at(-1).answer(0);
    mock.timers.tick(delay);
  }
  requests.at(-1).answer(403);
  upload.retry();
  assert.equal(requests.length, 6);
  const keys = new Set([...requests, uploading().requests[0]].map(keyOf));
  assert.equal(keys.size, 2);
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  mock.timers.reset();
});

const keyOf = ({ how }) => new URLSearchParams(how[1].split("?")[1]).get("client_id");
const withoutKey = ({ how }) => how.join(" ").replace(/client_id=[0-9a-f-]+&/, "");

const DELAYS = [1_000, 3_000, 8_000, 15_000];

test("what a busy server refuses is tried again by itself, then by the user", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { upload, requests } = uploading();
  for (const [tries, delay] of DELAYS.entries()) {
    requests.at(-1).answer(503, { detail: "Busy." });
    assert.deepEqual([upload.state, upload.reason, upload.canRetry], ["waiting", "Busy.", false]);
    mock.timers.tick(delay - 1);
    assert.equal(requests.length, tries + 1);
    mock.timers.tick(1);
    assert.equal(requests.length, tries + 2);
  }
  requests.at(-1).answer(503);
  assert.deepEqual([upload.state, upload.canRetry], ["failed", true]);
  upload.retry();
  assert.deepEqual([upload.state, upload.reason], ["sending", ""]);
  requests.at(-1).answer(200, FACTS);
  assert.equal(upload.state, "done");
  mock.timers.reset();
});

test("an upload without a connection is tried again until it is back, and at once when the browser is online", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { upload, requests } = uploading();
  for (const [tries, delay] of [...DELAYS, 15_000, 15_000].entries()) {
    requests.at(-1).answer(0);
    assert.deepEqual([upload.state, upload.isInterrupted], ["waiting", true]);
    mock.timers.tick(delay - 1);
    assert.equal(requests.length, tries + 1);
    mock.timers.tick(1);
    assert.equal(requests.length, tries + 2);
    // Still, because nothing is sent yet. Another try at the same time would send the file twice.
    assert.deepEqual([upload.isInterrupted, upload.canRetry], [true, false]);
  }
  requests.at(-1).answer(0);
  assert.equal(upload.canRetry, true);
  upload.retry();
  assert.equal(upload.state, "sending");
  mock.timers.tick(60_000);
  assert.equal(requests.length, 8, "the earlier timer starts nothing");
  requests.at(-1).upload.onprogress({ loaded: 1, total: 4 });
  assert.equal(upload.isInterrupted, false);
  requests.at(-1).answer(200, FACTS);
  assert.equal(upload.state, "done");
  mock.timers.reset();
});

test("a message waits for its files while the connection is lost, and is ready when they are uploaded", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { files, page, running } = attaching(["a.txt", "b.txt"]);
  assert.equal(files.holds(), true);
  for (let minutes = 0; minutes < 10; minutes += 1) {
    for (const request of running()) request.answer(0);
    assert.deepEqual([files.isWaiting, files.isInterrupted, page.stopped], [true, true, 0]);
    mock.timers.tick(60_000);
  }
  files.retry(); // the browser is online again
  assert.equal(running().length, 2);
  for (const request of running()) request.answer(200, FACTS);
  assert.deepEqual([page.ready, page.stopped, files.isInterrupted], [1, 0, false]);
  mock.timers.reset();
});

test("uploads that are too many at once are sent one after the other, however long it takes", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const chance = mock.method(Math, "random", () => 0.5);
  const { upload, requests } = uploading();
  for (let count = 1; count < 20; count += 1) {
    requests.at(-1).answer(429, { detail: "You're uploading too many files." });
    assert.equal(upload.state, "sending");
    assert.equal(upload.reason, "You're uploading too many files.");
    // After two to four seconds, so that uploads that were refused together do not come back together.
    mock.timers.tick(2_999);
    assert.equal(requests.length, count);
    mock.timers.tick(1);
    assert.equal(requests.length, count + 1);
  }
  requests.at(-1).answer(200, FACTS);
  assert.equal(upload.state, "done");
  assert.equal(upload.reason, "");
  chance.mock.restore();
  mock.timers.reset();
});

test("nothing is uploaded while the user is signed out, and all of it when the user is back", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let isSignedIn = true;
  const names = ["busy.txt", "often.txt", "later.txt"];
  const { files, page, running } = attaching(names, { isSignedIn: () => isSignedIn });
  isSignedIn = false;
  const [busy, often] = running();
  busy.answer(503);
  often.answer(429);
  mock.timers.tick(60_000);
  files.start();
  assert.equal(page.requests.length, 2);
  assert.deepEqual(new Set(files.all.map(({ own }) => own.state)), new Set(["waiting"]));
  isSignedIn = true;
  files.retry();
  assert.equal(running().length, 2);
  for (let left = 3; left > 0; left--) running()[0].answer(200, FACTS);
  assert.deepEqual(files.kept.lost, []);
  mock.timers.reset();
});

test("the files of a user who was replaced are neither uploaded, sent nor removed by the other one", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { files, page, running } = attaching(["done.txt", "slow.txt", "busy.txt", "next.txt"]);
  running()[0].answer(200, FACTS);
  assert.ok(files.holds());
  const [slow, busy] = running();
  busy.answer(503);
  files.clear();
  assert.ok(slow.isAborted);
  const { length } = page.requests;
  files.retry();
  mock.timers.tick(60_000);
  assert.deepEqual([files.all, files.isWaiting], [[], false]);
  assert.deepEqual(
    [page.requests.length, page.ready, page.stopped, page.discarded],
    [length, 0, 0, []],
  );
  mock.timers.reset();
});

test("a refusal is final and gives the server's reason", () => {
  const { upload, requests } = uploading();
  requests[0].answer(413, { error: "FILE_TOO_LARGE", detail: "Too large." });
  assert.equal(upload.state, "refused");
  assert.equal(upload.reason, "Too large.");
});

test("an upload that was refused because of the sign-in can be tried again", () => {
  const { upload, requests } = uploading();
  requests[0].answer(403, { detail: "You are signed out. Sign in again." });
  assert.equal(upload.state, "failed");
  assert.equal(upload.reason, "You are signed out. Sign in again.");
  upload.retry();
  requests[1].answer(200, FACTS);
  assert.equal(upload.state, "done");
});

/** The files of a message in room 3, and their requests. */
function attaching(names, more = {}) {
  const page = { requests: [], ready: 0, stopped: 0, discarded: [] };
  const files = new AttachedFiles({
    ...{ room: "3", headers: () => ({ "X-CSRFToken": "t" }), changed: () => {} },
    request: () => {
      page.requests.push(new Request());
      return page.requests.at(-1);
    },
    discard: ({ id }) => page.discarded.push(id),
    ready: () => (page.ready += 1),
    stopped: () => (page.stopped += 1),
    ...more,
  });
  for (const name of names) files.add({ name, size: 4 });
  files.start();
  const running = () =>
    page.requests.filter(({ status, isAborted }) => status === undefined && !isAborted);
  return { files, page, running };
}

const roomsOf = (requests) =>
  requests.map(({ how }) => how[1].match(/(?:rooms\/|room=)(\d+)/)[1]).sort();
const OTHERS = Array.from({ length: 20 }, (_, at) => ({ id: `${at + 10}`, title: `Room ${at}` }));

test("uploads that failed are tried again two at a time, like all others", async () => {
  const { files, page, running } = attaching(["a.txt", "b.txt"]);
  for (const request of running()) request.answer(200, FACTS);
  for (const how of ["the connection is back", "Enter"]) {
    assert.equal(files.holds(OTHERS), true);
    await settled();
    while (running().length) {
      running()[0].answer(403, { detail: "No." });
      await settled();
    }
    const { length } = page.requests;
    if (how === "Enter") assert.equal(files.holds(OTHERS), true);
    else files.retry();
    await settled();
    assert.equal(running().length, 2);
    assert.equal(page.requests.length, length + 2);
    assert.deepEqual([page.stopped > 0, page.ready], [true, 0]);
  }
  while (running().length) {
    assert.ok(running().length <= 2);
    running()[0].answer(200, FACTS);
    await settled();
  }
  assert.equal(page.ready, 1);
  assert.equal(files.holds(OTHERS), false);
});

test("an upload that waits for its next try leaves its place to others", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { files, page, running } = attaching(["a.txt", "b.txt", "c.txt", "d.txt"]);
  const [first, second] = page.requests;
  first.answer(503);
  second.answer(0);
  assert.equal(running().length, 2);
  for (const request of running()) request.answer(200, FACTS);
  assert.deepEqual([page.requests.length, files.holds()], [4, true]);
  mock.timers.tick(1_000);
  assert.deepEqual(running().map(keyOf), [first, second].map(keyOf));
  for (const request of running()) request.answer(200, FACTS);
  assert.equal(page.ready, 1);
  mock.timers.reset();
});

test("a server that is busy does not get all copies of a message again and again", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { files, page, running } = attaching(["a.txt"]);
  page.requests[0].answer(200, FACTS);
  assert.equal(files.holds(OTHERS), true);
  while (running().length) running()[0].answer(503);
  assert.equal(page.requests.length, 1 + 10);
  mock.timers.tick(60_000);
  while (running().length) running()[0].answer(200, FACTS);
  mock.timers.tick(60_000);
  while (running().length) running()[0].answer(200, FACTS);
  assert.equal(page.ready, 1);
  mock.timers.reset();
});

test("uploads that are too many keep their places, because others would be refused too", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { page, running } = attaching(["a.txt", "b.txt", "c.txt"]);
  for (const request of running()) request.answer(429);
  assert.equal(page.requests.length, 2);
  mock.timers.tick(4_000);
  assert.equal(running().length, 2);
  mock.timers.reset();
});

test("a room that is removed from the message gets no more uploads, and its error is gone", async () => {
  const { files, page, running } = attaching(["a.txt"]);
  page.requests[0].answer(200, FACTS);
  const rooms = OTHERS.slice(0, 4);
  files.holds(rooms);
  await settled();
  assert.deepEqual(roomsOf(running()), ["10", "11"]);
  const [first, second] = running();
  first.answer(403, { detail: "You're muted." });
  second.answer(200, { ...FACTS, id: "the copy" });
  await settled();
  assert.equal(files.all[0].status.upload.reason, "You're muted.");
  assert.deepEqual(roomsOf(running()), ["12", "13"]);
  files.removeCopies(["13"]);
  assert.deepEqual(roomsOf(running()), ["13"]);
  assert.deepEqual(page.discarded, ["the copy"]);
  assert.equal(files.all[0].status.upload.reason, "");
  assert.deepEqual(files.missing, []);
  // The next ones start in the place of those that were cancelled.
  files.holds(OTHERS.slice(3, 6));
  await settled();
  assert.deepEqual(roomsOf(running()), ["13", "14"]);
  files.removeCopies(["13", "15"]);
  await settled();
  assert.deepEqual(roomsOf(running()), ["13", "15"]);
  assert.equal(files.isWaiting, false);
});

test("a cancelled upload stays cancelled", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { upload, requests } = uploading();
  upload.cancel();
  assert.ok(requests[0].isAborted);
  mock.timers.tick(60_000);
  assert.equal(requests.length, 1);
  assert.equal(upload.facts, null);
  mock.timers.reset();
});

test("the bytes of a file are sent once, and the server copies it into the other rooms", () => {
  const { files, page, running } = attaching(["a.txt"]);
  assert.equal(files.holds(OTHERS.slice(0, 2)), true);
  // A copy waits for the file on the server.
  assert.deepEqual(roomsOf(running()), ["3"]);
  page.requests[0].answer(200, FACTS);
  const copies = running();
  assert.deepEqual(
    copies.map((request) => [withoutKey(request), request.body]),
    ["10", "11"].map((room) => [`POST /files/${FACTS.id}/copy/?room=${room}`, null]),
  );
  for (const request of copies) request.answer(200, { ...FACTS, id: `copy ${request.how[1]}` });
  assert.equal(page.ready, 1);
  assert.match(files.filesFor("10")[0].id, /room=10$/);
});

test("names and sizes are said as people do", () => {
  assert.equal(fileNames([{ name: "a.txt" }, { name: "b.png" }]), "a.txt, b.png");
  assert.match(sizeWords(812), /^812\D/);
  assert.match(sizeWords(48_213), /^47\D/);
  assert.match(sizeWords(1_600_000), /^1.5\D/);
});
