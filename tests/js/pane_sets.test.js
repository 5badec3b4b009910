import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Layout } from "../../static/chat/model/layout.js";

/** As much of a browser as the sets meet: their button and dialog, the focus, keys, and a server that answers when told. */
const listeners = new Map();
const requests = [];
let submit = () => {};
const element = () => ({
  ...{ hidden: false, dataset: {}, showModal() {}, select() {}, close() {} },
  addEventListener: (name, act) => {
    if (name === "submit") submit = act;
  },
  querySelector: () => element(),
});
const button = { ...element(), querySelector: () => ({ textContent: "" }) };
const document = {
  documentElement: { lang: "en" },
  activeElement: "box",
  cookie: "",
  querySelector: (selector) => (selector.includes("workspaces") ? button : element()),
};
class HTMLInputElement {}
Object.assign(globalThis, {
  ...{ document, HTMLInputElement },
  addEventListener: (name, act) => listeners.set(name, [...(listeners.get(name) ?? []), act]),
  removeEventListener: (name, act) =>
    listeners.set(
      name,
      listeners.get(name).filter((other) => other !== act),
    ),
  fetch: (_path, { body, keepalive }) =>
    new Promise((resolve, reject) => {
      requests.push({ body: body && JSON.parse(body), keepalive, resolve, reject });
    }),
});
const { PaneSets } = await import("../../static/chat/lazy/pane_sets.js");

const press = (event = { repeat: false }) => {
  for (const act of listeners.get("keydown") ?? []) act(event);
};
const settled = () => new Promise((resolve) => setImmediate(resolve));
const set = (id, rooms, more = {}) => ({
  ...{ id, name: `set ${id}`, version: 1, order: [...rooms], wide: null, shapes: {} },
  ...more,
});
const unnamed = { order: [], wide: null, shapes: {} };

/** The server answers the oldest request. */
async function answer(workspaces, more = {}) {
  await settled();
  const { resolve, body } = requests.shift();
  const headers = { get: () => "application/json" };
  resolve({ ok: true, headers, json: async () => ({ workspaces, unnamed, ...more }) });
  await settled();
  return body;
}

async function fail() {
  await settled();
  const { reject, body } = requests.shift();
  reject(new Error("away"));
  await settled();
  return body;
}

/** A page with some panes, of which the test sees what the sets do with them. */
function setUp({
  open = "ab",
  rooms = "abcdefgh",
  current = 1,
  peek = null,
  maxPanes = 0,
  waiting = "",
  inSet = open,
  ...more
} = {}) {
  const seen = { focused: [], notices: [], menus: [], ended: [] };
  const layout = new Layout();
  for (const room of open) layout.add(room);
  layout.peek = peek;
  const texts = new Map();
  const panes = {
    layout,
    isPhone: false,
    focus: null,
    get: (room) => (layout.order.includes(room) ? {} : undefined),
    get focused() {
      const room = panes.focus;
      if (!layout.order.includes(room)) return null;
      const text = texts.get(room) ?? "";
      return { room, composer: { text, draft: text } };
    },
    arrangeAs: ({ order, wide, shapes }) => {
      layout.order = [...order, ...layout.order.filter((room) => !order.includes(room))];
      layout.wide = wide;
      layout.shapes = { ...shapes };
    },
    isStrip: (room) => layout.shapes[room]?.strip === true,
    scrollToPane() {},
  };
  const workspace = {
    rooms: new Map([...rooms].map((id) => [id, { id, title: `room ${id}` }])),
    openPane: ({ id }) => {
      assert.ok(!maxPanes || layout.order.length < maxPanes, "the page would say that it is full");
      layout.add(id);
    },
    closePane: (room) => layout.remove(room),
  };
  const navigation = {
    setId: current,
    savedLayout: layout.panes,
    saveSet: null,
    save: () => navigation.saveSet?.(),
    layoutRestored() {},
    updateAddress() {},
    hideReopenOffer: () => seen.ended.push("offer"),
    focusRoom: (room) => seen.focused.push(room),
  };
  const list = [
    { id: 1, name: "set 1" },
    { id: 2, name: "set 2" },
  ];
  const sets = new PaneSets(
    {
      ...{ panes, workspace, navigation, maxPanes },
      notices: { show: (sentence) => seen.notices.push(sentence) },
      showMenu: (items) => seen.menus.push(items),
      isWaiting: (room) => waiting.includes(room),
      endCatchUp: () => seen.ended.push("catch up"),
      askFirst() {},
      ...more,
    },
    { list, current, version: 1 },
    { order: [...inSet], wide: null, shapes: {} },
  );
  const use = (id) => sets.optionsFor(`set ${id}`)[0].act();
  return { sets, use, panes, layout, texts, workspace, navigation, seen };
}

const shown = ({ layout }) => layout.order.join("");

beforeEach(() => {
  requests.length = 0;
  listeners.clear();
});

test("a switch moves the focus to the first room of the set", async () => {
  const page = setUp();
  page.use(2);
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cd");
  assert.deepEqual(page.seen.focused, ["c"]);
  assert.deepEqual(page.seen.ended, ["catch up", "offer"]);
});

test("a pane in which the user is writing stays open when another window takes it out of the set", async () => {
  const page = setUp({ open: "abc" });
  page.panes.focus = "b";
  page.texts.set("b", "Good mor");
  page.sets.versionsReceived({ 1: 2, 2: 1 });
  await answer([set(1, "c", { version: 2 })]);
  assert.equal(shown(page), "cb");
  assert.deepEqual(page.seen.notices, [
    "“room b” stays open because you're writing there. It isn't part of this workspace.",
  ]);
  // It does not come back into the set, and does not go when something else changes.
  page.navigation.save();
  page.texts.clear();
  page.sets.versionsReceived({ 1: 3, 2: 1 });
  await answer([set(1, "cd", { version: 3 })]);
  assert.equal(shown(page), "cdb");
  assert.deepEqual(requests, []);
  // The user opens it again: now it is part of the set.
  page.layout.remove("b");
  page.navigation.save();
  await settled();
  page.layout.add("b");
  page.navigation.save();
  assert.deepEqual((await answer([set(1, "cdb", { version: 4 })])).change.put, [{ room: "b" }]);
});

test("a pane without a text is closed with the set's other panes", async () => {
  const page = setUp({ open: "abc" });
  page.panes.focus = "b";
  page.sets.versionsReceived({ 1: 2, 2: 1 });
  await answer([set(1, "c", { version: 2 })]);
  assert.equal(shown(page), "c");
});

test("a pane in which the user went on writing stays open after a switch that was answered late", async () => {
  const page = setUp();
  page.panes.focus = "a";
  page.use(2);
  await settled();
  press();
  page.texts.set("a", "Good mor");
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cda");
  assert.equal(page.panes.focused.room, "a");
  assert.deepEqual(page.seen.focused, []);
  page.navigation.save();
  await settled();
  assert.deepEqual(requests, [], "it is not added to the set");
});

test("a switch that is answered late leaves the focus to a user who typed meanwhile", async () => {
  const page = setUp();
  page.use(2);
  await settled();
  press({ repeat: true });
  press();
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cd");
  assert.deepEqual(page.seen.focused, []);
  assert.deepEqual(listeners.get("keydown"), []);
});

test("a switch leaves the focus to a user who went elsewhere meanwhile, or whose room is in the set", async () => {
  const away = setUp();
  away.use(2);
  await settled();
  document.activeElement = "search";
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.deepEqual(away.seen.focused, []);
  const stays = setUp();
  stays.panes.focus = "b";
  stays.use(2);
  await answer([set(1, "ab"), set(2, "cb")]);
  assert.equal(shown(stays), "cb");
  assert.deepEqual(stays.seen.focused, []);
});

test("a provisional pane is kept when another window adds its room to the set", async () => {
  const page = setUp({ open: "abp", inSet: "ab", rooms: "abp", peek: "p" });
  page.sets.versionsReceived({ 1: 2, 2: 1 });
  await answer([set(1, "abp", { version: 2 })]);
  assert.equal(page.layout.peek, null);
  page.navigation.save();
  await settled();
  assert.deepEqual(requests, [], "nothing is closed in the other window");
});

test("rooms that this page cannot show stay in the set where they are", async () => {
  const page = setUp({ rooms: "abcd", maxPanes: 3 });
  page.use(2);
  // x and y are archived or very new, and d is one too many.
  await answer([set(1, "ab"), set(2, "xabcdy", { wide: "y" })]);
  assert.equal(shown(page), "abc");
  assert.deepEqual(page.seen.notices, [
    "You can have 3 rooms open at most. Close one to open another.",
  ]);
  page.navigation.save();
  await settled();
  assert.deepEqual(requests, []);
  page.layout.remove("c");
  page.layout.moveTo("b", 0);
  page.navigation.save();
  const { change } = await answer([set(1, "ab"), set(2, "xbady", { version: 2 })]);
  assert.deepEqual(change.close, ["c"]);
  assert.deepEqual(change.put, [{ room: "b", before: "a" }]);
  assert.equal(shown(page), "bad");
  // A room that came meanwhile is shown, and can then be closed.
  page.workspace.rooms.set("y", { id: "y" });
  page.layout.remove("d");
  page.sets.versionsReceived({ 1: 1, 2: 3 });
  await answer([set(1, "ab"), set(2, "xbady", { version: 3 })]);
  assert.equal(shown(page), "bay");
  page.layout.remove("y");
  page.navigation.save();
  assert.deepEqual((await answer([set(2, "xba")])).change.close, ["d", "y"]);
});

test("rooms whose messages wait stay open after a switch, and are not added to the set", async () => {
  const page = setUp({ waiting: "b" });
  page.use(2);
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cdb");
  assert.deepEqual(page.seen.notices, [
    "“room b” stays open because messages there aren't sent yet. It isn't part of this workspace.",
  ]);
  page.navigation.save();
  page.sets.connected();
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cdb");
  assert.deepEqual(requests, []);
});

test("rooms that a reload opens for their messages are neither closed nor added to the set", async () => {
  const page = setUp({ open: "abw", rooms: "abuw", inSet: "abu", waiting: "w" });
  page.sets.connected();
  await answer([set(1, "abu")]);
  assert.equal(shown(page), "abuw");
  page.navigation.save();
  await settled();
  assert.deepEqual(requests, []);
});

test("the menu opens before the server answers, also offline, and not after signing out", async () => {
  const page = setUp();
  page.sets.openMenu();
  assert.equal(page.seen.menus.length, 1);
  await fail();
  assert.deepEqual(page.seen.notices, []);
  button.hidden = true;
  page.sets.openMenu();
  button.hidden = false;
  await settled();
  assert.equal(page.seen.menus.length, 1);
  assert.deepEqual(requests, []);
});

test("the menu lists a set as another window made or renamed it, whichever is shown", async () => {
  const page = setUp({ current: 0 });
  page.sets.versionsReceived({ 1: 1, 2: 1, 3: 1 });
  await answer([set(1, "ab"), set(2, ""), set(3, "c")]);
  page.sets.versionsReceived({ 1: 1, 2: 1, 3: 2 });
  await answer([set(1, "ab"), set(2, ""), set(3, "c", { version: 2, name: "Night" })]);
  page.sets.versionsReceived({ 1: 1, 2: 1, 3: 2 });
  await settled();
  assert.deepEqual(requests, [], "it has these versions");
  page.sets.openMenu();
  assert.ok(page.seen.menus[0].some(({ label }) => label === "Night"));
});

test("a change that fails is sent again by itself, and stops a switch", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const page = setUp();
  page.layout.add("c");
  page.navigation.save();
  page.use(2);
  await fail();
  assert.equal(shown(page), "abc");
  assert.equal(page.navigation.setId, 1);
  assert.deepEqual(page.seen.notices, ["The server isn't responding. Try again in a moment."]);
  assert.deepEqual(requests, []);
  mock.timers.tick(4_000);
  assert.deepEqual((await answer([set(1, "abc"), set(2, "cd")])).change.put, [{ room: "c" }]);
  mock.timers.tick(60_000);
  await settled();
  assert.deepEqual(requests, []);
  mock.timers.reset();
});

test("a pane that is opened during a switch is saved in the set before", async () => {
  const page = setUp();
  page.use(2);
  await settled();
  page.layout.add("e");
  await answer([set(1, "ab"), set(2, "cd")]);
  const { workspace, change } = await answer([set(1, "abe"), set(2, "cdf")]);
  assert.deepEqual([workspace, change.put], [1, [{ room: "e" }]]);
  assert.equal(shown(page), "cdf", "as the last answer has it");
  assert.equal(page.navigation.setId, 2);
});

test("of two switches the last one counts", async () => {
  const page = setUp({ current: 0 });
  page.use(1);
  page.use(2);
  await answer([set(1, "ab"), set(2, "cd")]);
  await answer([set(1, "ab"), set(2, "cd")]);
  assert.equal(shown(page), "cd");
  assert.equal(page.navigation.setId, 2);
});

test("a page that is closed sends its last change, also while another request is under way", async () => {
  const page = setUp();
  page.layout.add("c");
  page.navigation.save();
  await settled();
  page.layout.add("d");
  listeners.get("pagehide")[0]();
  assert.equal(requests.length, 2);
  assert.equal(requests[1].keepalive, true);
  assert.deepEqual(requests[1].body.change.put, [{ room: "c" }, { room: "d" }]);
  await answer([set(1, "abc")]);
  await answer([set(1, "abcd")]);
});

test("a page that has nothing to save sends nothing when it is closed", async () => {
  setUp();
  listeners.get("pagehide")[0]();
  setUp({ current: 0, inSet: "" });
  listeners.get("pagehide")[1]();
  await settled();
  assert.deepEqual(requests, []);
});

test("a set that is made of the open panes has them all", async () => {
  const page = setUp({ current: 0, inSet: "" });
  page.sets.openMenu();
  await answer([]);
  page.seen.menus[0].find(({ label }) => label === "Save as…").act();
  submit({ preventDefault() {} });
  assert.deepEqual((await answer([set(3, "ab")], { saved: 3 })).rooms, ["a", "b"]);
  page.layout.add("c");
  page.navigation.save();
  const { change } = await answer([set(3, "abc")]);
  assert.deepEqual(change, { command: "layout", put: [{ room: "c" }], close: [] });
  assert.equal(shown(page), "abc");
});
