/**
 * Messages with files into several rooms, from two tabs at once: nothing is lost, posted twice or without its files, over
 * uploads that fail, cuts, reloads, lost acks, refusals and rights that end. Each seed is a run: FILES_SEED chooses one,
 * FILES_SEEDS the number of seeds.
 */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { ComposerChips } from "../../static/chat/lazy/composer_chips.js";
import { Copies } from "../../static/chat/lazy/copies.js";
import { AttachedFiles } from "../../static/chat/model/attached_files.js";
import { Drafts } from "../../static/chat/model/drafts.js";
import { KeptFiles } from "../../static/chat/model/kept_files.js";
import { Outbox } from "../../static/chat/model/outbox.js";
import { Locks } from "./locks.js";
import { Dice } from "./random.js";
import { Store } from "./store.js";

const ROOMS = ["1", "2", "3"];
const STEPS = 80;
const SEEDS = process.env.FILES_SEED
  ? [Number(process.env.FILES_SEED)]
  : [...Array(Number(process.env.FILES_SEEDS ?? 12)).keys()];

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
});

// The composer asks where the focus is.
globalThis.document = { activeElement: null, body: null };

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The part of localStorage that a tab sees: the same for all, and a change is an event in the others. */
class SharedStore extends Store {
  /** @type {{tab: Tab, key: string, oldValue: string | null, newValue: string | null}[]} */
  events = [];
  for(tab, tabs) {
    const change = (key, newValue) => {
      const oldValue = this.getItem(key);
      if (newValue === null) this.removeItem(key);
      else this.setItem(key, newValue);
      if (oldValue === newValue) return;
      for (const other of tabs)
        if (other !== tab) this.events.push({ tab: other, key, oldValue, newValue });
    };
    const store = this;
    return {
      get length() {
        return store.length;
      },
      key: (i) => this.key(i),
      getItem: (key) => this.getItem(key),
      setItem: (key, value) => change(key, value),
      removeItem: (key) => change(key, null),
    };
  }

  deliver() {
    for (const { tab, key, ...values } of this.events.splice(0)) {
      tab.outbox.storageChanged(key, values);
      tab.drafts.storageChanged(key, values);
    }
  }
}

/** The server, which does what chat/store/files.py and the log do. */
class Server {
  /** Uploaded files by id, with the room and, once posted, the message. */
  files = new Map();
  /** The ids of files by the keys of their uploads. */
  #ids = new Map();
  posted = [];
  readOnly = new Set();
  #known = new Set();
  #uploads = 0;

  upload(room, name, key) {
    if (this.readOnly.has(room)) return null;
    const known = this.#ids.get(`${room} ${key}`);
    const id = known ?? `file ${++this.#uploads} of ${room}`;
    this.#ids.set(`${room} ${key}`, id);
    if (!this.files.has(id)) this.files.set(id, { room, name, message: null });
    return { id, name, type: "text/plain", size: 4 };
  }

  /** Post a message, and return the code if it is refused. */
  post({ room, message, client_id, across, files = [] }) {
    if (this.#known.has(client_id)) return;
    if (this.readOnly.has(room)) return "ROOM_READ_ONLY";
    const found = files.map((id) => this.files.get(id));
    if (found.some((file) => file?.room !== room || file.message !== null)) return "FILE_INVALID";
    this.#known.add(client_id);
    for (const file of found) file.message = client_id;
    this.posted.push({ room, text: message, across, names: found.map(({ name }) => name) });
  }
}

/** An upload that is under way. */
class Request {
  upload = {};
  constructor(tab) {
    this.tab = tab;
  }
  open(_method, address) {
    const [path, query] = address.split("?");
    const asked = new URLSearchParams(query);
    const isCopy = path.endsWith("/copy/");
    this.source = isCopy ? this.tab.world.server.files.get(path.split("/")[2]) : null;
    this.room = isCopy ? asked.get("room") : path.split("/")[2];
    this.name = isCopy ? this.source?.name : asked.get("name");
    this.key = asked.get("client_id");
  }
  setRequestHeader() {}
  send(body) {
    if (!this.tab.world.alive.has(this.tab.id)) return; // only here do the timers of a page that is gone run on
    assert.equal(body?.name, this.source === null ? this.name : undefined);
    if (this.source)
      assert.equal(this.source.message, null, "a file is copied before it is posted");
    this.tab.uploading.push(this);
  }
  abort() {
    this.tab.uploading = this.tab.uploading.filter((other) => other !== this);
  }
  answer(status, facts) {
    this.status = status;
    this.responseText = facts ? JSON.stringify(facts) : "";
    this.onloadend();
  }
}

/** A tab that writes in one room, and does what the page does, without elements. */
class Tab {
  static made = 0;
  inFlight = [];
  uploading = [];
  isOnline = false;
  text = "";
  type = 0;
  extras = null;

  static async open(world, room, previous = null) {
    Tab.made += 1;
    const tab = new Tab();
    Object.assign(tab, { world, room, id: `tab${Tab.made}` });
    world.alive.add(tab.id);
    const tabs = { id: tab.id, previous, isClosed: async (id) => !world.alive.has(id) };
    const store = world.store.for(tab, world.tabs);
    const epochs = new Map(ROOMS.map((id) => [id, "k3"]));
    const send = (command) => tab.isOnline && tab.inFlight.push(command) > 0;
    tab.outbox = new Outbox(7, { store, send, locks: world.locks, epochs });
    tab.drafts = new Drafts(7, { store, tabs, epochs, isSent: (id) => tab.outbox.has(id) });
    const rooms = new Map(ROOMS.map((id) => [id, { id, title: `Room ${id}`, staff_only: false }]));
    tab.copies = new Copies({
      ...{ outbox: tab.outbox, me: 7, rooms: () => rooms, ask: () => false, change: () => {} },
      ...{ isOpen: (id) => id === room, isOnline: () => tab.isOnline },
      notices: { show: () => {}, remove: () => {} },
    });
    tab.outbox.onchange = () => tab.copies.update();
    tab.chips = new ComposerChips(
      {
        ...{ rooms: () => rooms, composerOf: () => tab, isStaff: false, askFirst: () => {} },
        ...{ outbox: tab.outbox, drafts: tab.drafts, prepareToSend: () => {} },
      },
      null,
    );
    // A reload keeps the tab's own storage.
    tab.session = world.sessions.get(room) ?? new Store();
    world.sessions.set(room, tab.session);
    tab.kept = await KeptFiles.open(7, tabs, tab.session);
    tab.drafts.openRoom(room);
    const { text = "", extras = null } = tab.drafts.draftOf(room) ?? {};
    Object.assign(tab, { text, extras });
    const attached = new AttachedFiles({
      ...{ room, headers: () => ({}), request: () => new Request(tab), stopped: () => {} },
      discard: ({ id }) => world.discard(id),
      // The timers of a page that is gone run on only here.
      changed: () => world.alive.has(tab.id) && tab.kept.save(room, attached.kept),
      ready: () => tab.submit(),
    });
    tab.attached = attached;
    Object.defineProperty(attached, "size", { get: () => attached.all.length });
    for (const file of tab.kept.take(room)?.files ?? []) attached.putBack(file);
    attached.start();
    return tab;
  }

  // What the chips ask of a composer's element.
  querySelector() {
    return {};
  }
  addEventListener() {}
  focus() {}
  clear() {
    Object.assign(this, { text: "", extras: null });
    this.save();
  }

  save() {
    this.drafts.saveDraft(this.room, this.text, { extras: this.extras });
  }

  connect() {
    if (this.isOnline) return;
    this.isOnline = true;
    this.outbox.roomJoined(this.room);
    this.copies.update();
  }

  cut() {
    this.isOnline = false;
    this.outbox.connectionLost();
    this.copies.connectionLost();
  }

  submit() {
    const { attached, text, extras, room } = this;
    if (text === "" || (attached.size && attached.holds())) return;
    const rooms = [room, ...(extras?.also ?? [])];
    const names = attached.all.map(({ name }) => name);
    if (extras?.also) {
      this.chips.send(room);
      if (this.text === "") this.world.noteSent(text, rooms, names);
      return;
    }
    const files = attached.filesFor(room);
    this.outbox.add(room, text, { client_id: this.drafts.idFor(room, text), files });
    this.drafts.removeSent(room);
    attached.take();
    this.clear();
    this.world.noteSent(text, rooms, names);
  }
}

class World extends Dice {
  store = new SharedStore();
  sessions = new Map();
  locks = new Locks();
  server = new Server();
  alive = new Set();
  tabs = [];
  /** What the user sent, by its text: the rooms, the names of the files, and the rooms whose copy the user discarded. */
  sent = new Map();
  made = 0;

  /** A draft that is sent again after a crash is still the same message. */
  noteSent(text, rooms, names) {
    if (!this.sent.has(text)) this.sent.set(text, { rooms, names, isGivenUp: new Set() });
  }

  discard(id) {
    if (this.server.files.get(id)?.message === null) this.server.files.delete(id);
  }

  /** An upload ends: it arrives, is lost on its way or back, or is refused. */
  endUpload(tab) {
    const request = tab.uploading.shift();
    if (!request) return;
    const fate = tab.isOnline ? this.chance() : 0;
    if (fate < 0.15) return request.answer(0);
    if (fate < 0.2) return request.answer(403);
    if (request.source === undefined) return request.answer(400);
    const facts = this.server.upload(request.room, request.name, request.key);
    if (!facts) return request.answer(403);
    if (fate < 0.3) return request.answer(0); // stored, but the answer is lost
    request.answer(200, facts);
  }

  answer(tab) {
    const command = tab.inFlight.shift();
    const fate = this.chance();
    if (command === undefined || fate < 0.1) return;
    const { client_id, room } = command;
    if (fate < 0.2)
      return tab.outbox.refuse({ error: "RATE_LIMITED", client_id, room, retry_after: 1 });
    const error = this.server.post(command);
    if (error) return tab.outbox.refuse({ error, client_id, room });
    if (fate < 0.35 || !tab.isOnline) return; // the ack is lost
    tab.outbox.settle(client_id);
  }

  /** The tab dies between the entries of a message. After it is reloaded, the user sends the draft that is there again. */
  async crashWhileSending(tab) {
    const { outbox, text, extras, attached, room } = tab;
    const names = attached.all.map(({ name }) => name);
    const rooms = [room, ...(extras?.also ?? [])];
    let left = this.draw(rooms.length);
    let isDead = false;
    outbox.add = (...entry) => {
      if (left === 0) isDead = true;
      if (isDead) throw new Error("the tab has died");
      left -= 1;
      Outbox.prototype.add.apply(outbox, entry);
    };
    try {
      tab.submit();
      for (let more = 10; tab.uploading.length && more; more -= 1) this.endUpload(tab);
    } catch (error) {
      if (!isDead) throw error;
    }
    delete outbox.add;
    if (!isDead) return;
    this.noteSent(text, rooms, names);
    (await this.reload(tab)).submit();
  }

  async reload(tab) {
    tab.cut();
    tab.uploading = [];
    this.alive.delete(tab.id);
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    const next = await Tab.open(this, tab.room, tab.id);
    this.tabs.push(next);
    if (this.chance() < 0.7) next.connect();
    return next;
  }

  async step() {
    const tab = this.pick(this.tabs);
    const draw = this.chance();
    const others = ROOMS.filter((room) => room !== tab.room);
    this.made += 1;
    if (draw < 0.15) {
      tab.text = [tab.text, `<${this.made}>`].filter(Boolean).join(" ");
      tab.save();
      tab.attached.stopWaiting();
    } else if (draw < 0.27) {
      if (tab.attached.size < 3) tab.attached.add({ name: `${this.made}.txt`, size: 4 });
      tab.attached.start();
    } else if (draw < 0.3) tab.attached.size && tab.attached.remove(this.pick(tab.attached.all));
    else if (draw < 0.4) {
      const also = others.filter(() => this.chance() < 0.7);
      tab.extras = this.chance() < 0.8 ? { also } : null;
      tab.save();
      tab.attached.stopWaiting();
    } else if (draw < 0.49) tab.submit();
    else if (draw < 0.52) await this.crashWhileSending(tab);
    else if (draw < 0.72) this.endUpload(tab);
    else if (draw < 0.86) for (const each of this.tabs) this.answer(each);
    else if (draw < 0.89) this.chance() < 0.4 ? tab.cut() : tab.connect();
    else if (draw < 0.92) await this.reload(tab);
    else if (draw < 0.94) {
      const room = this.pick(ROOMS);
      if (!this.server.readOnly.delete(room)) this.server.readOnly.add(room);
    } else if (draw < 0.95) this.choose(tab);
    else mock.timers.tick(this.pick([1_000, 4_000, 16_000]));
  }

  /** The user retries or discards a message that was refused. */
  choose(tab) {
    const entry = ROOMS.flatMap((room) => tab.outbox.entriesOf(room)).find(
      ({ state }) => state === "failed",
    );
    if (!entry) return;
    if (this.chance() < 0.7) return tab.outbox.retry(entry.client_id);
    tab.outbox.discard(entry.client_id);
    this.sent.get(entry.text).isGivenUp.add(entry.room);
  }

  /** What was posted so far is what was sent. */
  check() {
    const seen = new Set();
    for (const { room, text, names } of this.server.posted) {
      assert.ok(!seen.has(`${room} ${text}`), `${text} was posted twice in room ${room}`);
      seen.add(`${room} ${text}`);
      const sent = this.sent.get(text);
      assert.ok(sent?.rooms.includes(room), `${text} was posted in room ${room} unasked`);
      assert.deepEqual(names, sent.names, `the files of ${text} in room ${room}`);
    }
    for (const [text, { rooms }] of this.sent) {
      const copies = this.server.posted.filter((posted) => posted.text === text);
      assert.equal(new Set(copies.map(({ across }) => across)).size, copies.length ? 1 : 0);
      if (copies.length) assert.equal(copies[0].across !== undefined, rooms.length > 1);
    }
  }

  /** The trouble is over, and the user tries again what was refused. */
  async end() {
    this.chance = () => 0.99;
    this.server.readOnly.clear();
    for (const tab of this.tabs) tab.connect();
    for (let round = 0; round < 40; round += 1) {
      for (const tab of this.tabs) {
        for (const room of ROOMS)
          for (const { client_id, state } of tab.outbox.entriesOf(room))
            if (state === "failed") tab.outbox.retry(client_id);
        if (round === 10) tab.attached.retry();
        if (round > 10 && tab.text !== "") tab.submit();
        while (tab.uploading.length) this.endUpload(tab);
        while (tab.inFlight.length) this.answer(tab);
      }
      await settled();
      mock.timers.tick(8_000);
      await settled();
      this.store.deliver();
    }
    this.check();
    for (const [text, { rooms, isGivenUp }] of this.sent)
      for (const room of rooms)
        assert.ok(
          isGivenUp.has(room) ||
            this.server.posted.some((posted) => posted.text === text && posted.room === room),
          `${text} is missing in room ${room}`,
        );
    for (const tab of this.tabs) assert.equal(tab.text, "", "the last drafts are sent too");
  }
}

test(`messages with files reach each of their rooms once, in ${SEEDS.length} runs`, async () => {
  let [copies, files] = [0, 0];
  for (const seed of SEEDS) {
    const world = new World(seed);
    for (const room of ["1", "2"]) world.tabs.push(await Tab.open(world, room));
    for (const tab of world.tabs) tab.connect();
    try {
      for (let at = 0; at < STEPS; at += 1) {
        await world.step();
        await settled();
        if (at % 3 === 0) world.store.deliver();
        world.check();
      }
      await world.end();
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
    const sent = world.server.posted.filter(({ across, names }) => across && names.length);
    copies += sent.length;
    files += sent.flatMap(({ names }) => names).length;
  }
  // The runs have an effect.
  assert.ok(SEEDS.length < 10 || (copies > 2 * SEEDS.length && files > copies));
});
