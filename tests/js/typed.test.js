/**
 * Nothing typed is lost, posted twice, or posted elsewhere. The test takes random steps in several tabs of two users,
 * with crashes, reloads, restores, sign-outs, a storage that fails, and acks that are lost or arrive twice.
 * Each seed is a run: TYPED_SEED chooses a seed, TYPED_SEEDS the number of seeds.
 */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Drafts } from "../../static/chat/model/drafts.js";
import { Outbox } from "../../static/chat/model/outbox.js";
import { Locks } from "./locks.js";
import { Dice } from "./random.js";

const ROOMS = ["1", "2"];
const STEPS = 120;
const SEEDS = process.env.TYPED_SEED
  ? [Number(process.env.TYPED_SEED)]
  : [...Array(Number(process.env.TYPED_SEEDS ?? 16)).keys()];
const DAY_MS = 86_400_000;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A localStorage: all tabs see what a tab writes at once, and get its events later. */
class Storage {
  items = new Map();
  fault = "none";
  tabs = new Set();
  ticks = 0;

  for(tab) {
    const world = this;
    return {
      get length() {
        return world.fault === "missing" ? 0 : world.items.size;
      },
      key: (i) => [...world.items.keys()][i] ?? null,
      getItem: (key) => (world.fault === "missing" ? null : (world.items.get(key) ?? null)),
      setItem: (key, value) => {
        if (world.fault === "full" || world.fault === "missing") throw new Error(world.fault);
        if (world.fault === "keeps nothing") return;
        const before = world.items.get(key) ?? null;
        world.items.set(key, value);
        if (before !== value) world.tell(tab, key, before, value);
      },
      removeItem: (key) => {
        if (world.fault === "missing" || !world.items.has(key)) return;
        const before = world.items.get(key);
        world.items.delete(key);
        world.tell(tab, key, before, null);
      },
    };
  }

  empty(silentFor) {
    this.items.clear();
    this.tell(silentFor, null, null, null);
  }

  tell(from, key, oldValue, newValue) {
    for (const tab of this.tabs)
      if (tab !== from) tab.events.push({ key, oldValue, newValue, tick: this.ticks });
  }
}

/** The server, with the posted messages and the epoch of each room. */
class Server {
  epochs = new Map(ROOMS.map((room) => [room, `${room}a`]));
  posted = [];
  #known = new Set();
  #edited = new Map();
  #made = 0;

  /** Post a message, and return the code if it is refused. */
  post(user, { room, message, client_id, epoch }) {
    if (this.#known.has(`${user} ${client_id}`)) return;
    const now = this.epochs.get(room);
    if (epoch !== undefined && epoch !== now) return "EPOCH_CHANGED";
    this.#known.add(`${user} ${client_id}`);
    this.posted.push({ user, room, epoch: now, text: message, client_id });
  }

  /** Save an edit, and return whether it was for the log that the room has now. The same text again changes nothing. */
  edit(user, room, seq, text, epoch) {
    if (epoch !== this.epochs.get(room)) return false;
    const message = `${room} ${epoch} ${seq}`;
    if (this.#edited.get(message) !== text) this.posted.push({ user, room, epoch, text });
    this.#edited.set(message, text);
    return true;
  }

  /** The room's id gets another log. */
  replace(room) {
    this.#made += 1;
    this.epochs.set(room, `${room}-${this.#made}`);
  }

  /** The server is restored from a backup without the last messages. */
  restore() {
    for (const room of ROOMS) this.replace(room);
    this.#known.clear();
  }
}

/** A tab, which does what the page does, without elements. */
class Tab {
  static made = 0;
  events = [];
  boxes = new Map();
  edits = new Map();
  joined = new Set();
  inFlight = [];
  isOnline = false;
  isSignedOut = false;

  constructor(world, user, previous = null) {
    Tab.made += 1;
    Object.assign(this, { world, user, id: `tab${Tab.made}` });
    world.alive.add(this.id);
    world.storage.tabs.add(this);
    const store = world.storage.for(this);
    this.epochs = new Map(world.server.epochs);
    const { epochs } = this;
    const send = (command) => this.isOnline && this.inFlight.push(command) > 0;
    const locks = { request: (name, ...rest) => world.locks.request(name, ...rest) };
    this.outbox = new Outbox(user, { store, send, locks, epochs });
    const tabs = { id: this.id, previous, isClosed: async (tab) => !world.alive.has(tab) };
    this.drafts = new Drafts(user, { store, tabs, epochs, isSent: (id) => this.outbox.has(id) });
    this.drafts.onchange = (room) => this.show(room);
    this.drafts.onsignout = () => {
      this.outbox.close();
      this.isSignedOut = true;
      // The server closes the sockets of a session that ended, and takes nothing more from them.
      this.inFlight = [];
      this.cut();
    };
  }

  show(room) {
    if (this.boxes.has(room)) this.boxes.set(room, this.drafts.draftOf(room)?.text ?? "");
  }

  /** If the answer to the join is late, the page does not know the log yet of a room that is new in its list. */
  open(room, isLate = false) {
    if (this.boxes.has(room)) return;
    this.drafts.openRoom(room);
    this.boxes.set(room, "");
    this.show(room);
    if (this.isOnline && !isLate) this.join(room);
  }

  close(room) {
    this.boxes.delete(room);
    this.joined.delete(room);
    this.outbox.roomLeft(room);
    this.drafts.closeRoom(room);
  }

  join(room) {
    if (!this.world.server.epochs.has(room)) return this.close(room);
    const epoch = this.world.server.epochs.get(room);
    this.epochs.set(room, epoch);
    for (const token of this.world.tokens.values())
      if (token.tab === this && token.room === room) token.epoch ??= epoch;
    if (this.drafts.epochChanged(room)) this.show(room);
    this.joined.add(room);
    this.outbox.roomJoined(room);
  }

  /** Whether the room has another log on the server than the tab has heard of. */
  isOutdated(room) {
    return this.epochs.get(room) !== this.world.server.epochs.get(room);
  }

  connect() {
    if (this.isOnline || this.isSignedOut) return;
    this.isOnline = true;
    for (const room of [...this.boxes.keys()]) this.join(room);
  }

  cut() {
    this.isOnline = false;
    this.joined.clear();
    this.outbox.connectionLost();
  }

  type(room, token) {
    const now = this.boxes.get(room);
    const text = now === "" ? token : `${now} ${token}`;
    this.boxes.set(room, text);
    this.drafts.saveDraft(room, text, { title: `Room ${room}` });
  }

  edit(room, seq, token) {
    const kept = this.drafts.editsOf(room).find(({ edit }) => edit.seq === seq);
    const text = kept ? `${kept.text} ${token}` : token;
    this.drafts.saveDraft(room, text, { edit: { seq, original: "as it was", isOpen: true } });
  }

  saveEdit(room) {
    const [kept] = this.drafts.editsOf(room);
    if (!kept || !this.joined.has(room)) return;
    const { user, world } = this;
    if (world.server.edit(user, room, kept.edit.seq, kept.text, this.epochs.get(room)))
      this.drafts.dropEdit(room, kept.edit.seq);
  }

  send(room, diesBetween) {
    const text = this.boxes.get(room);
    if (text === "") return;
    this.outbox.add(room, text, { client_id: this.drafts.idFor(room, text) });
    if (diesBetween) return this.world.crash(this);
    this.drafts.removeSent(room);
    this.boxes.set(room, "");
    this.drafts.saveDraft(room, "");
  }

  putBack(text, room, id) {
    const now = this.boxes.get(room);
    const newText = [text, now].filter(Boolean).join(" ");
    this.boxes.set(room, newText);
    this.drafts.saveDraft(room, newText, { id: now === "" ? id : undefined });
  }

  /** All typed text in this tab's memory. */
  get memory() {
    return [this.kept, ...this.boxes.values()].join("\n");
  }

  /** The text that the tab stores again when the storage was emptied: its own, and not what another tab wrote. */
  get kept() {
    const { outbox, drafts } = this;
    const entries = [
      ...ROOMS.flatMap((room) => outbox.entriesOf(room)),
      ...outbox.orphans(new Map()),
    ];
    const kept = drafts.orphans(new Map()).map(({ draft }) => draft.text);
    const edits = ROOMS.flatMap((room) => drafts.editsOf(room)).map(({ text }) => text);
    return [...entries.map(({ text }) => text), ...kept, ...edits].join("\n");
  }

  /** The text that the user sees or is offered. */
  get seen() {
    const rooms = this.world.server.epochs;
    const { outbox, drafts, boxes } = this;
    const entries = [...ROOMS.flatMap((room) => outbox.entriesOf(room)), ...outbox.orphans(rooms)];
    const offered = drafts.orphans(rooms).map(({ draft }) => draft.text);
    const edits = ROOMS.flatMap((room) => drafts.editsOf(room)).map(({ text }) => text);
    return [...entries.map(({ text }) => text), ...offered, ...edits, ...boxes.values()].join("\n");
  }
}

class World extends Dice {
  storage = new Storage();
  locks = new Locks();
  server = new Server();
  alive = new Set();
  tabs = [];
  /** The typed tokens, with user, room and epoch, and whether their loss was announced or wanted. */
  tokens = new Map();
  /** Ticks since the storage was emptied. */
  sinceEmptied = Number.POSITIVE_INFINITY;

  tab(user, previous) {
    const tab = new Tab(this, user, previous);
    this.tabs.push(tab);
    return tab;
  }

  token(tab, room) {
    const name = `<${this.tokens.size}>`;
    const epoch = tab.epochs.get(room);
    this.tokens.set(name, { user: tab.user, room, epoch, tab, isGivenUp: false });
    return name;
  }

  /** The tab ends at once and releases its locks. */
  crash(tab, hasLastWord = false) {
    const isAnnounced = tab.outbox.isAtRisk || tab.drafts.isAtRisk || tab.isSignedOut;
    const isStoredAgain = this.sinceEmptied > 2 || hasLastWord;
    const memory = tab.memory;
    tab.cut();
    this.alive.delete(tab.id);
    this.storage.tabs.delete(tab);
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    if (isAnnounced || !isStoredAgain) this.giveUp(memory);
  }

  /** The tab is closed or reloaded, so its page can store once more. */
  leave(tab) {
    tab.outbox.repairStorage(true);
    tab.drafts.repairStorage(true);
    this.crash(tab, true);
  }

  giveUp(text) {
    for (const [name, token] of this.tokens) if (text.includes(name)) token.isGivenUp = true;
  }

  signOut(tab) {
    for (const [, token] of this.tokens) if (token.user === tab.user) token.isGivenUp = true;
    tab.outbox.clear();
    tab.drafts.clear();
    this.crash(tab);
  }

  deliver(tab, count = tab.events.length) {
    for (const { key, tick: _tick, ...change } of tab.events.splice(0, count)) {
      const { memory } = tab;
      tab.outbox.storageChanged(key, change);
      tab.drafts.storageChanged(key, change);
      // Typed in the moment before this tab knew it.
      if (key?.startsWith("multichat.signed-out")) this.giveUp(memory);
    }
  }

  answer(tab) {
    const command = tab.inFlight.shift();
    if (command === undefined) return;
    const fate = this.chance();
    const { room, client_id } = command;
    if (fate < 0.1 || !this.server.epochs.has(room)) return; // the command is lost
    if (fate < 0.2) return tab.outbox.refuse({ error: "RATE_LIMITED", client_id, retry_after: 1 });
    if (fate < 0.25) return tab.outbox.refuse({ error: "USER_MUTED", client_id });
    const error = this.server.post(tab.user, command);
    if (error) return tab.outbox.refuse({ error, client_id });
    if (fate < 0.4) return; // the ack is lost
    if (!tab.isOnline) return;
    const isEventDue = fate < 0.6;
    tab.outbox.settle(client_id, isEventDue);
    if (isEventDue || fate < 0.7) tab.outbox.settle(client_id);
  }

  /** The user retries, restores or discards an unsent message. */
  choose(tab, room) {
    const entry = this.pick(tab.outbox.entriesOf(room));
    if (!entry || entry.state === "sent") return;
    const { client_id, text, state } = entry;
    const choice = this.draw(3);
    if (choice === 0 && state !== "pending") tab.outbox.retry(client_id);
    else if (choice === 1 && state !== "pending" && tab.boxes.has(room)) {
      tab.putBack(text, room, client_id);
      tab.outbox.discard(client_id);
    } else if (choice === 2 && this.chance() < 0.3) {
      this.giveUp(text);
      tab.outbox.discard(client_id);
    }
  }

  takeSpare(tab) {
    const spare = tab.drafts.orphans(this.server.epochs).find(({ isLost }) => !isLost)?.draft;
    if (!spare || spare.edit) return;
    tab.putBack(spare.text, spare.room);
    tab.drafts.removeDraft(spare);
  }

  step() {
    const draw = this.chance();
    if (this.tabs.length === 0 || (draw < 0.04 && this.tabs.length < 4)) return this.begin();
    const tab = this.pick(this.tabs);
    const room = this.pick(ROOMS);
    const isOpen = tab.boxes.has(room);
    if (draw < 0.3 && isOpen) tab.type(room, this.token(tab, room));
    else if (draw < 0.35 && isOpen) tab.edit(room, 1 + this.draw(2), this.token(tab, room));
    else if (draw < 0.37) tab.saveEdit(room);
    else if (draw < 0.48 && isOpen) tab.send(room, this.chance() < 0.1);
    else if (draw < 0.5 && isOpen) {
      this.giveUp(tab.boxes.get(room));
      tab.boxes.set(room, "");
      tab.drafts.saveDraft(room, "");
    } else if (draw < 0.56) isOpen ? tab.close(room) : tab.open(room, this.chance() < 0.5);
    else if (draw < 0.64) this.deliver(tab, 1 + this.draw(5));
    else if (draw < 0.76) for (const each of [...this.tabs, ...this.tabs]) this.answer(each);
    else if (draw < 0.8) tab.isOnline && this.chance() < 0.2 ? tab.cut() : tab.connect();
    else if (draw < 0.82) this.crash(tab);
    else if (draw < 0.84) this.reload(tab);
    else if (draw < 0.85) this.leave(tab);
    else if (draw < 0.87) this.choose(tab, room);
    else if (draw < 0.88) this.takeSpare(tab);
    else if (draw < 0.9) this.restore(room);
    else if (draw < 0.91) this.signOut(tab);
    else if (draw < 0.94) this.fail();
    else if (draw < 0.95) this.empty(tab);
    else if (draw < 0.98) mock.timers.tick(this.pick([500, 3_500, 16_000]));
    else mock.timers.setTime(Date.now() + 2 * DAY_MS);
  }

  begin() {
    // Two users share the browser one after the other.
    const user = this.tabs[0]?.user ?? 7 + this.draw(2);
    const tab = this.tab(user);
    for (const room of ROOMS) tab.open(room);
    tab.connect();
  }

  reload(tab) {
    const open = [...tab.boxes.keys()];
    this.leave(tab);
    const next = this.tab(tab.user, tab.id);
    for (const room of open) next.open(room);
    if (this.chance() < 0.8) next.connect();
  }

  restore(room) {
    const draw = this.chance();
    if (draw < 0.3) this.server.epochs.delete(room);
    else if (draw < 0.6) this.server.replace(room);
    else this.server.restore();
    for (const tab of this.tabs) {
      // A restore cuts no connection. The tab hears of it later, and until then it may send.
      if (this.chance() < 0.5) continue;
      tab.inFlight = [];
      tab.cut();
      if (this.chance() < 0.7) tab.connect();
    }
  }

  /** The user empties the storage, including the records of closed tabs. Open pages store their records again soon. */
  empty(tab) {
    // It takes the user longer than an event takes.
    for (const each of this.tabs) this.deliver(each);
    this.storage.empty(this.chance() < 0.5 ? tab : null);
    this.sinceEmptied = 0;
    const memory = this.tabs.map(({ kept }) => kept).join("\n");
    for (const [name, token] of this.tokens) token.isGivenUp ||= !memory.includes(name);
  }

  fail() {
    this.storage.fault = this.pick(["none", "none", "full", "missing", "keeps nothing"]);
  }

  /** Once a second, in every tab. */
  tick() {
    this.sinceEmptied += 1;
    this.storage.ticks += 1;
    for (const tab of this.tabs) {
      for (const room of tab.isOnline ? [...tab.boxes.keys()] : [])
        if (!tab.joined.has(room) || tab.isOutdated(room)) this.chance() < 0.5 && tab.join(room);
      // Events are late, but by less than a second.
      this.deliver(tab, tab.events.filter(({ tick }) => tick < this.storage.ticks - 1).length);
      tab.outbox.repairStorage();
      tab.drafts.repairStorage();
    }
  }

  check(where) {
    const haystack = [
      ...this.server.posted.map(({ text }) => text),
      ...this.storage.items.values(),
      ...this.tabs.map((tab) => tab.memory),
    ].join("\n");
    for (const [name, { isGivenUp }] of this.tokens)
      assert.ok(isGivenUp || haystack.includes(name), `${name} was lost ${where}`);
  }

  checkPosted() {
    const texts = this.server.posted.map(({ text }) => text);
    assert.equal(
      new Set(texts).size,
      texts.length,
      `posted twice: ${texts.filter((text, at) => texts.indexOf(text) !== at)}`,
    );
    for (const { user, room, epoch, text } of this.server.posted)
      for (const [name] of text.matchAll(/<\d+>/g)) {
        const { isGivenUp, tab, ...origin } = this.tokens.get(name);
        assert.deepEqual(origin, { user, room, epoch }, `${name} was posted elsewhere`);
      }
  }

  /** All tabs are closed, and a user who returns finds everything. */
  async end() {
    this.storage.fault = "none";
    for (const tab of this.tabs) this.deliver(tab);
    for (const tab of [...this.tabs]) this.leave(tab);
    for (const user of [7, 8]) {
      const tab = this.tab(user);
      for (const room of this.server.epochs.keys()) tab.open(room);
      tab.connect();
      await settled();
      this.deliver(tab);
      const posted = this.server.posted.map(({ text }) => text).join("\n");
      for (const [name, token] of this.tokens)
        if (token.user === user && !token.isGivenUp)
          assert.ok(
            posted.includes(name) || tab.seen.includes(name),
            `${name} is shown nowhere: ${[...this.storage.items].filter(([, text]) => text.includes(name))}`,
          );
      this.leave(tab);
    }
    this.checkPosted();
  }
}

test(`nothing typed is lost, posted twice or elsewhere, in ${SEEDS.length} runs of ${STEPS} steps`, async () => {
  let posted = 0;
  let typed = 0;
  for (const seed of SEEDS) {
    mock.timers.setTime(1_000_000 + seed * 100 * DAY_MS);
    const world = new World(seed);
    try {
      for (let at = 0; at < STEPS; at += 1) {
        world.step();
        await settled();
        if (at % 3 === 0) world.tick();
        world.check(`in step ${at}`);
      }
      await world.end();
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
    posted += world.server.posted.length;
    typed += world.tokens.size;
  }
  // The runs have an effect: tokens are typed, and some of them posted.
  assert.ok(SEEDS.length === 1 || (posted > SEEDS.length && typed > 20 * SEEDS.length));
});
