import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Drafts } from "../../static/chat/model/drafts.js";
import { Store } from "./store.js";

let store;
let alive;

beforeEach(() => {
  store = new Store();
  alive = new Set();
});

const settled = () => new Promise((resolve) => setImmediate(resolve));
const rooms = new Map([["1", { title: "Room 1" }]]);

function tab(id, { user = 7, previous = null, epoch = "a", isSent } = {}) {
  alive.add(id);
  const tabs = { id, previous, isClosed: async (one) => one === "" || !alive.has(one) };
  const epochs = new Map(epoch === null ? [] : [["1", epoch]]);
  const drafts = new Drafts(user, { store, tabs, epochs, isSent });
  drafts.epochs = epochs;
  drafts.openRoom("1");
  return drafts;
}

const textOf = (drafts, room = "1") => drafts.draftOf(room)?.text ?? "";
const left = (drafts) => drafts.orphans(rooms).map(({ draft }) => draft.text);

/** Another tab set or removed an item. */
function hear(drafts, act) {
  const before = new Map(keys().map((key) => [key, store.getItem(key)]));
  act();
  for (const key of new Set([...before.keys(), ...keys()])) {
    const [oldValue, newValue] = [before.get(key) ?? null, store.getItem(key)];
    if (oldValue !== newValue) drafts.storageChanged(key, { oldValue, newValue });
  }
}

const keys = () => Array.from({ length: store.length }, (_, i) => store.key(i));

test("a draft is of one room and one user, and leaves no trace when it is sent", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "half a sen");
  tab("b", { user: 8 }).saveDraft("1", "of another");
  assert.equal(textOf(drafts), "half a sen");
  assert.equal(textOf(drafts, "2"), "");
  drafts.removeSent("1");
  assert.equal(store.length, 1);
  drafts.saveDraft("1", "x");
  drafts.clear();
  assert.equal(store.length, 1);
});

test("a reload brings the draft of this tab back, not the newer one of another", async () => {
  const one = tab("a");
  one.saveDraft("1", "a long report that took ten minutes");
  const two = tab("b");
  two.saveDraft("1", "ok");
  alive.delete("a");
  const again = tab("c", { previous: "a" });
  assert.equal(textOf(again), "a long report that took ten minutes");
  await settled();
  assert.equal(textOf(again), "a long report that took ten minutes");
  assert.equal(textOf(two), "ok");
  assert.equal(store.length, 2);
});

test("what one tab sends removes nothing of what another one has", () => {
  const one = tab("a");
  const two = tab("b");
  one.saveDraft("1", "a long report");
  two.saveDraft("1", "ok");
  hear(one, () => two.removeSent("1"));
  assert.equal(textOf(one), "a long report");
  assert.equal(store.length, 1);
});

test("a draft that stands in two tabs has one id, and goes from both when it is sent", () => {
  const one = tab("a");
  one.saveDraft("1", "both");
  const two = tab("b");
  assert.equal(textOf(two), "both");
  assert.equal(two.idFor("1", "both"), one.idFor("1", "both"));
  hear(one, () => two.removeSent("1"));
  assert.equal(textOf(one), "");
  assert.equal(store.length, 0);
});

test("a tab that shows another one's draft follows it, until something is typed there", async () => {
  const one = tab("a");
  one.saveDraft("1", "short");
  const two = tab("b");
  hear(two, () => one.saveDraft("1", "not so short"));
  assert.equal(textOf(two), "not so short");
  hear(one, () => two.saveDraft("1", "x"));
  hear(two, () => one.saveDraft("1", "not short at all"));
  await settled();
  assert.deepEqual([textOf(one), textOf(two)], ["not short at all", "x"]);
  // Clearing a box is not sending what stands in the other.
  const three = tab("c");
  hear(one, () => three.saveDraft("1", ""));
  assert.equal(textOf(one), "not short at all");
});

test("what was typed on since it was sent elsewhere stays", () => {
  const one = tab("a");
  one.saveDraft("1", "both");
  const two = tab("b");
  const [key] = keys();
  const oldValue = store.getItem(key);
  two.removeSent("1");
  one.saveDraft("1", "both and more");
  store.removeItem(key); // the removal arrives late, and the item is gone
  one.storageChanged(key, { oldValue, newValue: null });
  assert.equal(textOf(one), "both and more");
  assert.equal(store.length, 1);
});

test("drafts of closed tabs are restored or offered, and not multiplied", async () => {
  tab("a").saveDraft("1", "first");
  const second = tab("b");
  second.saveDraft("1", "second");
  alive.clear();
  let now = tab("c");
  await settled();
  const shown = textOf(now);
  assert.deepEqual([shown, ...left(now)].sort(), ["first", "second"]);
  // Typed on: one draft, not two versions of it.
  now.saveDraft("1", `${shown} and more`);
  alive.clear();
  now = tab("d");
  await settled();
  assert.deepEqual([textOf(now), ...left(now)].sort().length, 2);
  const [{ draft }] = now.orphans(rooms);
  now.removeDraft(draft);
  assert.deepEqual(left(now), []);
  assert.equal(store.length, 1);
});

test("a draft for another log of the room is offered and stands in no box", async () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "secret", { title: "Secret" });
  drafts.epochs.set("1", "b");
  assert.equal(drafts.epochChanged("1"), true);
  assert.equal(textOf(drafts), "");
  drafts.saveDraft("1", "public");
  assert.deepEqual(left(drafts), ["secret"]);
  alive.clear();
  const next = tab("b", { epoch: "b", previous: "a" });
  await settled();
  assert.equal(textOf(next), "public");
  assert.deepEqual(
    next.orphans(rooms).map(({ draft, isLost }) => [draft.text, draft.title, isLost]),
    [["secret", "Secret", true]],
  );
});

test("what was written before the room's log was known belongs to it", () => {
  const drafts = tab("a", { epoch: null });
  drafts.saveDraft("1", "first");
  drafts.epochs.set("1", "a");
  assert.equal(drafts.epochChanged("1"), false);
  assert.equal(textOf(drafts), "first");
  drafts.epochs.set("1", "b");
  assert.equal(drafts.epochChanged("1"), true);
});

test("drafts of a room that is gone are offered after a reload, too", async () => {
  tab("a").saveDraft("1", "half a text");
  alive.clear();
  const next = tab("b", { epoch: null });
  await settled();
  assert.deepEqual(
    next.orphans(new Map()).map(({ draft }) => draft.text),
    ["half a text"],
  );
});

test("edits are kept like drafts, each with its message", async () => {
  const edit = (seq, isOpen = true) => ({ edit: { seq, original: `text ${seq}`, isOpen } });
  const one = tab("a");
  one.saveDraft("1", "draft");
  one.saveDraft("1", "better 3", edit(3, false));
  one.saveDraft("1", "better 4", edit(4));
  alive.clear();
  const two = tab("b", { previous: "a" });
  assert.deepEqual(two.editsOf("1").find(({ edit }) => edit.isOpen).text, "better 4");
  await settled();
  assert.equal(textOf(two), "draft");
  assert.deepEqual(
    two
      .editsOf("1")
      .map(({ edit }) => edit.seq)
      .sort(),
    [3, 4],
  );
  two.saveDraft("1", "", edit(3)); // also one that was emptied
  two.dropEdit("1", 4);
  assert.deepEqual(
    two.editsOf("1").map(({ text, edit }) => [edit.seq, text]),
    [[3, ""]],
  );
  assert.equal(store.length, 2);
});

test("a page that was gone between outbox and box does not show the text again", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "sent");
  const id = drafts.idFor("1", "sent");
  assert.equal(textOf(tab("b", { previous: "a", isSent: (one) => one === id })), "");
  assert.equal(store.length, 0);
});

test("a text that is put back unchanged keeps its id", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "old", { id: "c1" });
  assert.equal(drafts.idFor("1", "old"), "c1");
  drafts.saveDraft("1", "old and new");
  assert.notEqual(drafts.idFor("1", "old and new"), "c1");
});

test("after signing out in another tab no draft is written again", () => {
  const one = tab("a");
  const two = tab("b");
  one.saveDraft("1", "mine");
  let isTold = false;
  two.onsignout = () => {
    isTold = true;
  };
  two.saveDraft("1", "typed just before");
  one.clear();
  two.storageChanged("multichat.signed-out.7", { newValue: "now" });
  two.saveDraft("1", "typed after");
  two.repairStorage();
  two.repairStorage(true);
  assert.equal(isTold, true);
  assert.equal(store.length, 0);
  assert.equal(two.isAtRisk, false);
  two.reopen();
  assert.equal(store.length, 1);
});

test("signing out removes what another tab wrote a moment ago, too", () => {
  const one = tab("a");
  tab("b").saveDraft("1", "not heard of yet");
  one.clear();
  assert.equal(store.length, 0);
});

test("a storage that is full, closed or keeps nothing is said, and mended later", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "short");
  const { setItem } = Store.prototype;
  for (const broken of [
    () => {
      throw new DOMException("", "QuotaExceededError");
    },
    () => {},
  ]) {
    store.setItem = broken;
    drafts.saveDraft("1", `${textOf(drafts)} and longer`);
    assert.equal(drafts.isAtRisk, true);
    store.setItem = setItem;
    drafts.repairStorage();
    assert.equal(drafts.isAtRisk, false);
    assert.ok(store.getItem(keys()[0]).includes(textOf(drafts)));
  }
});

test("a storage that the user emptied has everything again", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "mine");
  const empty = () => {
    for (const key of keys()) store.removeItem(key);
  };
  empty();
  drafts.storageChanged(null);
  assert.equal(store.length, 1);
  empty(); // by this page's own console: no event
  drafts.repairStorage();
  assert.equal(store.length, 0); // another tab's removal may be on its way
  drafts.repairStorage();
  assert.equal(store.length, 1);
  empty();
  drafts.repairStorage(true);
  assert.equal(store.length, 1);
});

test("a draft of the version before this one is offered", () => {
  store.setItem("multichat.draft.7.1", "typed before the upgrade");
  assert.deepEqual(left(tab("a")), ["typed before the upgrade"]);
});
