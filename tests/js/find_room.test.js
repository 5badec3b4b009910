import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { findRoom } from "../../static/chat/model/find_room.js";

const ROOMS = [{ title: "Lobby" }, { title: "#ops" }, { title: "ops" }];

test("a room is found by its title, with or without a # before it", async () => {
  const asked = [];
  mock.method(globalThis, "fetch", async (address) => {
    asked.push(decodeURIComponent(address));
    const headers = new Headers({ "Content-Type": "application/json" });
    return { ok: address === "/chat/new/", headers, json: async () => ({ title: "New" }) };
  });
  assert.equal(await findRoom("LOBBY", ROOMS), ROOMS[0]);
  assert.equal(await findRoom("#lobby", ROOMS), ROOMS[0]);
  assert.equal(await findRoom("#ops", ROOMS), ROOMS[1]);
  assert.equal(await findRoom("ops", ROOMS), ROOMS[2]);
  assert.deepEqual(asked, []);
  // The server may know a newer one, whose title may begin with a #.
  assert.deepEqual(await findRoom("#new", ROOMS), { title: "New" });
  assert.deepEqual(asked, ["/chat/#new/", "/chat/new/"]);
  assert.equal(await findRoom("#", ROOMS), "There is no room called “#”.");
  mock.restoreAll();
});
