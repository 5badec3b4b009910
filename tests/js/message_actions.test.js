import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

// As much of a browser as the modules read when they are loaded.
Object.assign(globalThis, {
  document: { documentElement: { dataset: {} } },
  getComputedStyle: () => ({ fontSize: "16px" }),
  matchMedia: () => ({ matches: false }),
});
globalThis.navigator ??= {};
const { MessageActions } = await import("../../static/chat/page/message_actions.js");

const ACROSS = "16fd2706-8baf-433b-82eb-8c7fada847da";
const MESSAGE = { seq: 3, user: 7, text: "hi", across: ACROSS };
const OFFLINE = /offline/;

let panes;
let sent;
let changed;
let asked;
let shown;
let actions;

beforeEach(() => {
  [sent, changed, shown] = [[], [], []];
  const composer = {
    ...{ draft: "", text: "" },
    focus() {},
    editMessage: (message, text) => shown.push({ message, text }),
    editSaved() {},
    editAnswered() {},
  };
  // The list has trimmed the message.
  const list = { selectedMessages: [], elementOf: () => undefined, messageAt: () => undefined };
  const pane = { list, composer, showTrouble: (words) => words && shown.push({ pane: words }) };
  panes = new Map([["1", pane]]);
  Object.assign(panes, { all: [pane], isPhone: false });
  const copies = { changeAll: (...change) => changed.push(change) };
  actions = new MessageActions(panes, {
    ...{ user: { id: 7, staff: false }, readTracker: {}, notLoaded() {} },
    workspace: {
      rooms: new Map(),
      changeMessage: (command, outcome) => sent.push({ command, outcome }),
    },
    drafts: { editsOf: () => [], dropEdit() {} },
    notices: { show: (words) => shown.push({ notice: words }) },
    carrying: { use: (use) => use({ copies }) },
  });
  actions.askFirst = (_, what) => {
    asked = what;
  };
});

/** Choose Delete in the menu of a message, which asks first. */
const chooseDelete = (message) => {
  const lists = { asMarkdown: () => "", messageItems: (_message, _reader, ways) => ways };
  actions.menuItems(lists, "1", message, {}).remove();
};
const commands = () => sent.map(({ command }) => command);

test("all copies are deleted even if the pane was closed while the dialog was open", () => {
  chooseDelete(MESSAGE);
  panes.delete("1");
  asked.confirmed();
  assert.deepEqual(changed, [[ACROSS, "1", { undo: false }]]);
  assert.deepEqual(commands(), [{ command: "delete", room: "1", seq: 3, across: ACROSS }]);
});

test("a message is deleted only here, if its author chooses that", () => {
  chooseDelete(MESSAGE);
  asked.other.act();
  assert.deepEqual(changed, []);
  assert.deepEqual(commands(), [{ command: "delete", room: "1", seq: 3, across: ACROSS }]);
});

test("a message without copies, or of another user, is deleted alone", () => {
  for (const message of [
    { ...MESSAGE, across: undefined },
    { ...MESSAGE, user: 8 },
  ]) {
    chooseDelete(message);
    assert.equal(asked.other, undefined);
    asked.confirmed();
  }
  assert.deepEqual(changed, []);
  const own = { command: "delete", room: "1", seq: 3 };
  assert.deepEqual(commands(), [own, { ...own, across: ACROSS }]);
});

test("a message is taken back together with its copies", () => {
  actions.undoMessage("1", MESSAGE);
  assert.deepEqual(changed, [[ACROSS, "1", { undo: true }]]);
  assert.deepEqual(commands(), [
    { command: "delete", room: "1", seq: 3, undo: true, across: ACROSS },
  ]);
});

test("an edit changes the copies after it was saved, even of a message that the list has trimmed", () => {
  actions.editMessage("1", MESSAGE);
  assert.deepEqual(shown, [{ message: { seq: 3, text: "hi", across: ACROSS }, text: "hi" }]);
  actions.saveEdit("1", { seq: 3, across: ACROSS }, "hello");
  const edit = { command: "edit", room: "1", seq: 3, message: "hello", across: ACROSS };
  assert.deepEqual(commands(), [edit]);
  assert.deepEqual(changed, []);
  sent[0].outcome.done();
  assert.deepEqual(changed, [[ACROSS, "1", { message: "hello" }]]);
});

test("a refusal is shown in the pane, or above the panes if the pane was closed", () => {
  actions.deleteMessage("1", MESSAGE);
  actions.saveEdit("1", MESSAGE, "hello");
  sent[0].outcome.failed();
  panes.delete("1");
  for (const { outcome } of sent) outcome.failed();
  assert.deepEqual(shown.flatMap(Object.keys), ["pane", "notice", "notice"]);
  for (const words of shown.flatMap(Object.values)) assert.match(words, OFFLINE);
});
