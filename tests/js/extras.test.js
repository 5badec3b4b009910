import assert from "node:assert/strict";
import { test } from "node:test";
import { acrossOf, copyId, findWider, isWider } from "../../static/chat/model/extras.js";
import { uuid } from "../../static/chat/model/outbox_store.js";

const open = { id: "1", title: "Lobby", staff_only: false };
const other = { id: "2", title: "Random", staff_only: false };
const staff = { id: "3", title: "Staff", staff_only: true };
const board = { id: "4", title: "Board", staff_only: true };
const team = { id: "5", title: "Team", staff_only: false, kind: "members" };
const direct = { id: "6", title: "bob", staff_only: false, kind: "direct" };
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

test("a room is wider if somebody may read it who may not read the other", () => {
  for (const to of [open, staff, team, direct]) assert.equal(isWider(other, to), false);
  for (const to of [open, team, direct]) assert.equal(isWider(staff, to), true);
  assert.equal(isWider(staff, board), false);
  for (const from of [team, direct])
    for (const to of [open, staff]) assert.equal(isWider(from, to), true);
  assert.equal(isWider(team, team), false);
  assert.equal(isWider(undefined, open), true, "a room that the reader may not enter any more");
  assert.deepEqual(findWider([open, staff], [open, staff]), { narrow: staff, wide: open });
  assert.equal(findWider([open, other], [open, other]), null);
});

test("each copy of a draft has an id of its own, the same each time, that belongs to no other draft", () => {
  const draft = uuid();
  const ids = ["1", "2", "77", "4000000"].map((room) => copyId(draft, room));
  const all = [draft, acrossOf(draft), ...ids];
  assert.equal(new Set(all).size, all.length);
  for (const id of all) assert.match(id, UUID);
  assert.equal(copyId(draft, "77"), ids[2]);
  assert.notEqual(copyId(uuid(), "77"), ids[2]);
});
