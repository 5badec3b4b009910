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
  const tabs = { id, previous, isClosed: async (tab) => tab === "" || !alive.has(tab) };
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

test("a draft belongs to one room and user, and leaves nothing in the storage when it is sent", () => {
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

test("a reload restores this tab's draft, not a newer one of another tab", async () => {
  const first = tab("a");
  first.saveDraft("1", "a long report that took ten minutes");
  const second = tab("b");
  second.saveDraft("1", "ok");
  alive.delete("a");
  const again = tab("c", { previous: "a" });
  assert.equal(textOf(again), "a long report that took ten minutes");
  await settled();
  assert.equal(textOf(again), "a long report that took ten minutes");
  assert.equal(textOf(second), "ok");
  assert.equal(store.length, 2);
});

test("sending a draft in one tab leaves the draft of another tab", () => {
  const first = tab("a");
  const second = tab("b");
  first.saveDraft("1", "a long report");
  second.saveDraft("1", "ok");
  hear(first, () => second.removeSent("1"));
  assert.equal(textOf(first), "a long report");
  assert.equal(store.length, 1);
});

test("a draft shown in two tabs has one id, and leaves both when it is sent", () => {
  const first = tab("a");
  first.saveDraft("1", "both");
  const second = tab("b");
  assert.equal(textOf(second), "both");
  assert.equal(second.idFor("1", "both"), first.idFor("1", "both"));
  hear(first, () => second.removeSent("1"));
  assert.equal(textOf(first), "");
  assert.equal(store.length, 0);
});

test("a tab that shows another tab's draft follows it until the user types there", async () => {
  const first = tab("a");
  first.saveDraft("1", "short");
  const second = tab("b");
  hear(second, () => first.saveDraft("1", "not so short"));
  assert.equal(textOf(second), "not so short");
  hear(first, () => second.saveDraft("1", "x"));
  hear(second, () => first.saveDraft("1", "not short at all"));
  await settled();
  assert.deepEqual([textOf(first), textOf(second)], ["not short at all", "x"]);
  // Clearing a box does not send or remove the draft of the other tab.
  const third = tab("c");
  hear(first, () => third.saveDraft("1", ""));
  assert.equal(textOf(first), "not short at all");
});

test("a draft changed since another tab sent it stays", () => {
  const first = tab("a");
  first.saveDraft("1", "both");
  const second = tab("b");
  const [key] = keys();
  const oldValue = store.getItem(key);
  second.removeSent("1");
  first.saveDraft("1", "both and more");
  store.removeItem(key); // the removal arrives late, and the item is gone
  first.storageChanged(key, { oldValue, newValue: null });
  assert.equal(textOf(first), "both and more");
  assert.equal(store.length, 1);
});

test("drafts of closed tabs are restored or offered, each once", async () => {
  tab("a").saveDraft("1", "first");
  const second = tab("b");
  second.saveDraft("1", "second");
  alive.clear();
  let now = tab("c");
  await settled();
  const shown = textOf(now);
  assert.deepEqual([shown, ...left(now)].sort(), ["first", "second"]);
  // The user types on: there is one draft, not two versions of it.
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

test("a draft for another log of the room is offered and shown in no box", async () => {
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

test("a draft written before the room's epoch was known belongs to its log", () => {
  const drafts = tab("a", { epoch: null });
  drafts.saveDraft("1", "first");
  drafts.epochs.set("1", "a");
  assert.equal(drafts.epochChanged("1"), false);
  assert.equal(textOf(drafts), "first");
  drafts.epochs.set("1", "b");
  assert.equal(drafts.epochChanged("1"), true);
});

test("a draft stands in a room only when the room is known to have the log that it was written for", async () => {
  tab("a").saveDraft("1", "secret");
  alive.clear();
  for (const [id, epoch, shown, offered] of [
    ["b", "b", "", ["secret"]],
    ["c", "a", "secret", []],
  ]) {
    const drafts = tab(id, { epoch: null });
    let changed = 0;
    drafts.onchange = () => {
      changed += 1;
    };
    await settled();
    assert.equal(textOf(drafts), "");
    assert.deepEqual(left(drafts), [], "its log is not known yet");
    changed = 0;
    drafts.epochs.set("1", epoch);
    drafts.epochChanged("1");
    assert.ok(changed > 0, "the box is shown again");
    assert.equal(textOf(drafts), shown);
    await settled();
    assert.deepEqual(left(drafts), offered);
  }
});

test("drafts of a removed room are offered, also after a reload", async () => {
  tab("a").saveDraft("1", "half a text");
  alive.clear();
  const next = tab("b", { epoch: null });
  await settled();
  assert.deepEqual(
    next.orphans(new Map()).map(({ draft }) => draft.text),
    ["half a text"],
  );
});

test("edits are stored like drafts, one for each message", async () => {
  const edit = (seq, isOpen = true) => ({ edit: { seq, original: `text ${seq}`, isOpen } });
  const first = tab("a");
  first.saveDraft("1", "draft");
  first.saveDraft("1", "better 3", edit(3, false));
  first.saveDraft("1", "better 4", edit(4));
  alive.clear();
  const second = tab("b", { previous: "a" });
  assert.deepEqual(second.editsOf("1").find(({ edit }) => edit.isOpen).text, "better 4");
  await settled();
  assert.equal(textOf(second), "draft");
  assert.deepEqual(
    second
      .editsOf("1")
      .map(({ edit }) => edit.seq)
      .sort(),
    [3, 4],
  );
  second.saveDraft("1", "", edit(3)); // also an emptied edit
  second.dropEdit("1", 4);
  assert.deepEqual(
    second.editsOf("1").map(({ text, edit }) => [edit.seq, text]),
    [[3, ""]],
  );
  assert.equal(store.length, 2);
});

test("a page closed between the outbox and clearing the box does not show the text again", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "sent");
  const id = drafts.idFor("1", "sent");
  assert.equal(textOf(tab("b", { previous: "a", isSent: (first) => first === id })), "");
  assert.equal(store.length, 0);
});

test("a text that is put back unchanged keeps its id", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "old", { id: "c1" });
  assert.equal(drafts.idFor("1", "old"), "c1");
  drafts.saveDraft("1", "old and new");
  assert.notEqual(drafts.idFor("1", "old and new"), "c1");
});

test("after signing out in another tab no draft is stored", () => {
  const first = tab("a");
  const second = tab("b");
  first.saveDraft("1", "mine");
  let isTold = false;
  second.onsignout = () => {
    isTold = true;
  };
  second.saveDraft("1", "typed just before");
  first.clear();
  second.storageChanged("multichat.signed-out.7", { newValue: "now" });
  second.saveDraft("1", "typed after");
  second.repairStorage();
  second.repairStorage(true);
  assert.equal(isTold, true);
  assert.equal(store.length, 0);
  assert.equal(second.isAtRisk, false);
  second.reopen();
  assert.equal(store.length, 1);
});

test("signing out also removes what another tab wrote a moment ago", () => {
  const first = tab("a");
  tab("b").saveDraft("1", "not heard of yet");
  first.clear();
  assert.equal(store.length, 0);
});

test("a draft that the storage refuses is reported as at risk, and stored later", () => {
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

test("drafts are stored again after the user emptied the storage", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "mine");
  const empty = () => {
    for (const key of keys()) store.removeItem(key);
  };
  empty();
  drafts.storageChanged(null);
  assert.equal(store.length, 1);
  empty(); // from this page's own console, so there is no event
  drafts.repairStorage();
  assert.equal(store.length, 0); // another tab's removal may be on its way
  drafts.repairStorage();
  assert.equal(store.length, 1);
  empty();
  drafts.repairStorage(true);
  assert.equal(store.length, 1);
});

test("another tab's draft of a replaced log is stored again too, once its tab is closed", async () => {
  const first = tab("a");
  const second = tab("b");
  first.saveDraft("1", "half a sen", { edit: { seq: 2, original: "as it was", isOpen: true } });
  hear(second, () => {
    first.epochs.set("1", "b");
    first.epochChanged("1");
  });
  alive.delete("a");
  await settled();
  for (const key of keys()) store.removeItem(key);
  second.storageChanged(null);
  const [kept] = keys().map((key) => JSON.parse(store.getItem(key)).text);
  assert.equal(kept, "half a sen");
});

test("a draft that is typed over here keeps what its tab added just before it was closed", async () => {
  const first = tab("a");
  first.saveDraft("1", "one");
  const second = tab("b");
  first.saveDraft("1", "one two"); // its event is still on its way
  alive.delete("a");
  second.openRoom("2");
  second.saveDraft("1", "one three");
  await settled();
  assert.equal(textOf(second), "one three");
  assert.deepEqual(left(second), ["one two"]);
});

test("after a reload, this tab's edit is shown, and that of another closed tab is offered", async () => {
  const edit = { edit: { seq: 1, original: "as it was", isOpen: true } };
  tab("a").saveDraft("1", "by a", edit);
  tab("b").saveDraft("1", "by b", edit);
  alive.clear();
  const again = tab("c", { previous: "b" });
  await settled();
  assert.deepEqual(
    again.editsOf("1").map(({ text }) => text),
    ["by b"],
  );
  again.saveDraft("1", "by b and c", edit);
  await settled();
  assert.deepEqual(left(again), ["by a"]);
});

test("a draft of the previous version is offered", () => {
  store.setItem("multichat.draft.7.1", "typed before the upgrade");
  assert.deepEqual(left(tab("a")), ["typed before the upgrade"]);
});

test("a draft keeps the type that was chosen, and gets another id with it", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "it burns");
  const before = drafts.idFor("1", "it burns");
  drafts.saveDraft("1", "it burns", { type: 2 });
  assert.notEqual(drafts.idFor("1", "it burns"), before);
  assert.equal(tab("b", { previous: "a" }).draftOf("1").type, 2);
});

test("what a draft answers is kept like its text: over a reload, in another tab, and until it is sent", async () => {
  const extras = { replyTo: 5 };
  tab("a").saveDraft("1", "", { extras });
  const reloaded = tab("b", { previous: "a" });
  assert.deepEqual(reloaded.draftOf("1").extras, extras);
  alive.delete("a");
  reloaded.saveDraft("1", "an ans", { extras });
  await settled();
  const other = tab("c");
  assert.deepEqual(other.draftOf("1").extras, extras);
  // Another target is another draft, which is not sent under the same id.
  const { id } = reloaded.draftOf("1");
  hear(other, () => reloaded.saveDraft("1", "an ans", { extras: { replyTo: 6 } }));
  assert.notEqual(reloaded.draftOf("1").id, id);
  assert.deepEqual(other.draftOf("1").extras, { replyTo: 6 });
  hear(other, () => reloaded.saveDraft("1", "an ans"));
  assert.equal(other.draftOf("1").extras, undefined);
  reloaded.saveDraft("1", "", { extras });
  reloaded.saveDraft("1", "");
  await settled();
  assert.equal(store.length, 0);
});

test("a target belongs to the log in which it was chosen", () => {
  const drafts = tab("a");
  drafts.saveDraft("1", "an answer", { extras: { replyTo: 5 } });
  drafts.epochs.set("1", "b");
  assert.ok(drafts.epochChanged("1"));
  assert.equal(drafts.draftOf("1"), undefined);
  assert.deepEqual(left(drafts), ["an answer"]);
});

test("signing out removes half-written edits, also those of another tab", () => {
  const edit = { seq: 3, original: "as it was", isOpen: true };
  const [here, there] = [tab("a"), tab("b")];
  there.saveDraft("1", "secret", { edit });
  here.saveDraft("1", "mine", { edit: { ...edit, seq: 4 } });
  hear(there, () => here.clear());
  assert.deepEqual([here.editsOf("1"), there.editsOf("1"), keys()], [[], [], []]);
  there.storageChanged("multichat.signed-out.7", { newValue: "now" });
  there.saveDraft("1", "typed on", { edit });
  assert.deepEqual(keys(), []);
});
