import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Announcer } from "../../static/chat/page/announcer.js";

let said;
let announcer;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  said = [];
  globalThis.document = { ariaNotify: (text) => said.push(...text.split("\n")) };
  announcer = new Announcer(null); // the browser has ariaNotify
});

test("a message is announced once, author first", () => {
  announcer.announce("alice", "Lobby", "good morning");
  mock.timers.tick(60_000);
  assert.deepEqual(said, ["alice in Lobby: good morning"]);
});

test("only the beginning of a long message is announced", () => {
  announcer.announce("alice", "Lobby", "long ".repeat(800));
  mock.timers.tick(100);
  assert.ok(said[0].length < 330 && said[0].endsWith("…"));
});

test("many messages are announced as a count for each room", () => {
  for (const number of [1, 2, 3]) announcer.announce("alice", "Lobby", `number ${number}`);
  announcer.announce("bob", "Random", "hello");
  mock.timers.tick(100);
  assert.deepEqual(said, ["3 new messages in Lobby", "1 new message in Random"]);
});

test("a browser without ariaNotify gets the words in the live region, until another person may use the page", () => {
  const region = {
    lines: ["from before"],
    replaceChildren(...children) {
      this.lines = children.map(({ textContent }) => textContent);
    },
  };
  globalThis.document = { createElement: () => ({ textContent: "" }) };
  announcer = new Announcer(region);
  announcer.announce("alice", "Lobby", "good morning");
  announcer.announce("bob", "Lobby", "hello");
  mock.timers.tick(100);
  assert.deepEqual(region.lines, ["alice in Lobby: good morning", "bob in Lobby: hello"]);
  announcer.announce("alice", "Lobby", "the secret");
  announcer.clear();
  assert.deepEqual(region.lines, []);
  mock.timers.tick(60_000);
  assert.deepEqual(region.lines, []);
});
