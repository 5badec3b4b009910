import assert from "node:assert/strict";
import test from "node:test";
import { ShownNames } from "../../static/chat/model/names.js";

test("a user is shown by the username until the name is known, and asked for once", async () => {
  const names = new ShownNames();
  let asked = 0;
  names.onwanted = () => {
    asked += 1;
  };
  assert.deepEqual([names.of("bob"), names.of("bob"), names.of("")], ["bob", "bob", ""]);
  await Promise.resolve();
  assert.equal(asked, 1);
  assert.deepEqual(names.takeWanted(), ["bob"]);
  assert.equal(names.of("bob"), "bob");
  await Promise.resolve();
  assert.deepEqual([asked, names.takeWanted()], [1, []]);
  names.learn({ bob: { user: 7, name: "Bob Builder" }, alice: { user: 3 } });
  assert.deepEqual([names.of("bob"), names.of("alice")], ["Bob Builder", "alice"]);
});

test("a message keeps its author's username when another user has it by now", () => {
  const names = new ShownNames();
  names.learn({ bob: { user: 9, name: "Not Bob" } });
  assert.deepEqual([names.of("bob", 7), names.of("bob", 9)], ["bob", "Not Bob"]);
  // The user was renamed, so no one has the name.
  names.learn({ bob: {} });
  assert.equal(names.of("bob", 9), "bob");
});

test("a reader who is renamed is known by the new name, and by it alone", () => {
  const names = new ShownNames();
  const me = { id: 7, username: "bob" };
  names.me = me;
  names.learn({ bob: { user: 7 }, alice: { user: 3 } });
  assert.equal(me.username, "bob");
  names.learn({ bob: {}, robert: { user: 7 } });
  assert.equal(me.username, "robert");
  // Another user takes the old name.
  names.learn({ bob: { user: 9 } });
  assert.equal(me.username, "robert");
});

test("after missed changes all names are asked for again, and stay until the answer", async () => {
  const names = new ShownNames();
  names.learn({ bob: { user: 7, name: "Bob" } });
  let asked = 0;
  names.onwanted = () => {
    asked += 1;
  };
  names.askAgain();
  await Promise.resolve();
  assert.deepEqual([asked, names.takeWanted(), names.of("bob")], [1, ["bob"], "Bob"]);
});

test("a picture is shown for its user alone, also after the username has passed to another", () => {
  const names = new ShownNames();
  assert.equal(names.pictureOf("bob"), "");
  names.learn({ bob: { user: 7, picture: "k" }, alice: { user: 3 } });
  assert.equal(names.pictureOf("bob"), "/pictures/k/");
  assert.equal(names.pictureOf("bob", 7), "/pictures/k/");
  assert.equal(names.pictureOf("bob", 8), "");
  assert.equal(names.pictureOf("alice"), "");
  names.learn({ bob: { user: 7 } });
  assert.equal(names.pictureOf("bob"), "");
});

test("names that were wanted before there was a connection are asked for with it", async () => {
  const names = new ShownNames();
  let isOnline = false;
  const asked = [];
  names.onwanted = () => {
    if (isOnline) asked.push(...names.takeWanted());
  };
  names.learn({ bob: { user: 7, name: "Bob" } });
  names.of("alice");
  await Promise.resolve();
  isOnline = true;
  names.askAgain();
  await Promise.resolve();
  assert.deepEqual(asked.sort(), ["alice", "bob"]);
});
