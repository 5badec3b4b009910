import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../../static/chat/model/room_log.js";

const AT = "2026-11-21T10:00:00.000Z";
const join = (head, more = {}) => ({
  join: "1",
  title: "Lobby",
  head,
  floor: 1,
  epoch: "k3",
  ...more,
});
const posted = (seq, message = `text ${seq}`, more = {}) => ({
  room: "1",
  username: "bob",
  message,
  msg_type: 0,
  seq,
  at: AT,
  ...more,
});
const edited = (seq, target, message) => ({ room: "1", edited: target, message, seq, at: AT });
const overtaken = (seq, target) => ({ room: "1", edited: target, overtaken: true, seq, at: AT });
const deleted = (seq, target) => ({ room: "1", deleted: target, seq, at: AT });
const page = (events, as_of, more = false, newer = false) => ({
  history: "1",
  events,
  as_of,
  more,
  newer,
});
const run = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, at) => posted(first + at));

/** Request a page and apply it. */
function paged(log, frame, way) {
  log.setRequested(log.nextPage(way) ?? { place: {} });
  return log.applyPage(frame).messages;
}

/** Jump to another part of the log. */
function jumped(log, frame, place = { around: 1 }) {
  log.pendingJump = { place, arrived: () => {} };
  log.setRequested(log.nextPage());
  return log.applyPage(frame);
}

function joinedLog(head, more) {
  const log = new RoomLog();
  log.applyJoin(join(head, more));
  return log;
}

test("an event is applied only if it is the next one", () => {
  const log = joinedLog(5);
  assert.equal(log.applyEvent(posted(5)).verdict, "old");
  assert.equal(log.applyEvent(posted(7)).verdict, "gap");
  assert.equal(log.applyEvent(posted(6)).verdict, "applied");
  assert.equal(log.applyEvent(posted(6)).verdict, "old");
  assert.equal(log.applyEvent(posted(7)).verdict, "applied");
  assert.deepEqual(log.cursor, { since: 7, epoch: "k3" });
});

test("events before the join reply are ignored", () => {
  const log = new RoomLog();
  assert.equal(log.applyEvent(posted(1)).verdict, "old");
  assert.equal(log.cursor, null);
});

test("a resumed room keeps its cursor, and a reset room starts over", () => {
  const log = joinedLog(5);
  assert.equal(log.applyJoin(join(9)), false);
  assert.deepEqual(log.cursor, { since: 5, epoch: "k3" });
  assert.equal(log.applyJoin(join(3, { reset: true, epoch: "a1" })), true);
  assert.deepEqual(log.cursor, { since: 3, epoch: "a1" });
  assert.equal(log.hasPage, false);
});

test("edits and deletes change held messages", () => {
  const log = joinedLog(0);
  const { message } = log.applyEvent(posted(1));
  assert.equal(log.applyEvent(edited(2, 1, "better")).message, message);
  assert.deepEqual([message.text, message.edited, message.deleted], ["better", true, false]);
  log.applyEvent(deleted(3, 1));
  assert.deepEqual([message.text, message.deleted], [null, true]);
});

test("an event of a newer server moves the cursor and changes no message", () => {
  const log = joinedLog(5);
  log.applyEvent(posted(6));
  const crowned = { room: "1", crowned: 6, username: "bob", seq: 7, at: AT };
  assert.deepEqual(log.applyEvent(crowned), { verdict: "applied", message: null });
  assert.equal(log.applyEvent(posted(8)).verdict, "applied");
  assert.equal(paged(log, page([posted(6)], 8))[0].text, "text 6");
});

test("an overtaken edit moves the cursor and does not change the message", () => {
  const log = joinedLog(0);
  const { message } = log.applyEvent(posted(1, "first"));
  assert.deepEqual(log.applyEvent(overtaken(2, 1)), { verdict: "applied", message: null });
  assert.deepEqual([message.text, message.edited, log.cursor.since], ["first", false, 2]);
  log.applyEvent(edited(3, 1, "third"));
  assert.deepEqual([message.text, message.edited], ["third", true]);
});

test("an overtaken edit does not hide an earlier change from a requested page", () => {
  const log = joinedLog(10);
  log.setRequested(log.nextPage());
  log.applyEvent(edited(11, 4, "better"));
  log.applyEvent(overtaken(12, 4));
  const [four] = log.applyPage(page([posted(4)], 10)).messages;
  assert.equal(four.text, "better");
  log.applyEvent(edited(13, 4, "best"));
  assert.equal(four.text, "best");
});

test("an edit whose text was deleted later shows a deleted message", () => {
  const log = joinedLog(0);
  const { message } = log.applyEvent(posted(1));
  log.applyEvent({ ...edited(2, 1, null), deleted: true });
  assert.equal(message.deleted, true);
});

test("a change applies to a page that was read before it", () => {
  const log = joinedLog(10);
  log.setRequested(log.nextPage());
  log.applyEvent(edited(11, 4, "better"));
  log.applyEvent(deleted(12, 5));
  const [four, five] = log.applyPage(page([posted(4), posted(5)], 10)).messages;
  assert.equal(four.text, "better");
  assert.equal(five.deleted, true);
});

test("an old change does not undo a page that was read after it", () => {
  const log = joinedLog(10);
  log.setRequested(log.nextPage());
  log.applyEvent(edited(11, 4, "better"));
  const [four] = log.applyPage(page([posted(4, "best", { edited_at: AT })], 12)).messages;
  assert.equal(four.text, "best");
  log.applyEvent(edited(12, 4, "best"));
  assert.equal(four.text, "best");
});

test("a message that a page brought is not repeated by its event", () => {
  const log = joinedLog(3);
  const [four] = paged(log, page([posted(4, "edited since", { edited_at: AT })], 5));
  assert.equal(log.applyEvent(posted(4, "first")).message, four);
  assert.equal(four.text, "edited since");
});

test("a page repeats no held message", () => {
  const log = joinedLog(0);
  const held = log.applyEvent(posted(1)).message;
  log.applyEvent(posted(2));
  assert.deepEqual(paged(log, page([posted(1), posted(2)], 2)), [held]);
  assert.deepEqual(paged(log, page([posted(1), posted(2)], 2)), []);
});

test("the next page ends before the oldest held message", () => {
  const log = joinedLog(100);
  assert.deepEqual(log.nextPage("older"), { place: {} });
  paged(log, page([posted(51), posted(52)], 100, true));
  assert.deepEqual(log.nextPage("older"), { place: { before: 51 } });
  assert.equal(log.nextPage("newer"), null);
});

test("a page and the events since equal a fresh page, wherever the page falls", () => {
  const events = [
    posted(1),
    posted(2),
    edited(3, 1, "one"),
    posted(4),
    deleted(5, 2),
    edited(6, 4, "four"),
  ];
  const state = (asOf) => {
    const fresh = joinedLog(0);
    const messages = events.slice(0, asOf).map((event) => fresh.applyEvent(event).message);
    return [...new Set(messages)].map(({ seq, text, edited, deleted }) => ({
      seq,
      text,
      edited,
      deleted,
    }));
  };
  const asPage = (asOf) =>
    page(
      state(asOf).map(({ seq, text, edited, deleted }) => ({
        ...posted(seq, text),
        ...(edited && !deleted ? { edited_at: AT } : {}),
        ...(deleted ? { deleted: true } : {}),
      })),
      asOf,
    );
  for (let head = 0; head <= 6; head += 1)
    for (let pageAt = head; pageAt <= 6; pageAt += 1)
      for (let arrives = head; arrives <= 6; arrives += 1) {
        const log = joinedLog(head);
        const seen = new Map();
        const note = (message) => message && seen.set(message.seq, message);
        log.setRequested({ place: {} });
        events.slice(head, arrives).forEach((event) => note(log.applyEvent(event).message));
        log.applyPage(asPage(pageAt)).messages.forEach(note);
        events.slice(arrives).forEach((event) => note(log.applyEvent(event).message));
        const now = [...seen.values()]
          .sort((a, b) => a.seq - b.seq)
          .map(({ seq, text, deleted }) => ({ seq, text, deleted }));
        assert.deepEqual(
          now,
          state(6).map(({ seq, text, deleted }) => ({ seq, text, deleted })),
        );
      }
});

test("a window that does not reach the newest message holds no message beyond a gap", () => {
  const log = joinedLog(500);
  const { messages, isElsewhere } = jumped(log, page(run(90, 110), 500, true, true), {
    around: 100,
  });
  assert.equal(isElsewhere, true);
  assert.equal(messages.length, 21);
  const { verdict, message } = log.applyEvent(posted(501));
  assert.deepEqual([verdict, message.text], ["applied", "text 501"]);
  assert.deepEqual(log.cursor, { since: 501, epoch: "k3" });
  assert.deepEqual(log.nextPage("newer"), { place: { after: 110 } });
  assert.equal(log.applyEvent(edited(502, 501, "not held")).message, null);
  assert.equal(log.applyEvent(edited(503, 100, "held")).message, messages[10]);
  assert.equal(messages[10].text, "held");
  // Later pages close the gap, and bring what was posted meanwhile in its current state.
  assert.equal(paged(log, page(run(111, 160), 503, true, true), "newer").length, 50);
  paged(log, page([...run(161, 500), posted(501, "not held", { edited_at: AT })], 503), "newer");
  assert.equal(log.hasNewer, false);
  assert.equal(log.applyEvent(posted(504)).message.seq, 504);
  assert.equal(log.nextPage("newer"), null);
});

test("a last page that was read before a new message is not the last", () => {
  const log = joinedLog(200);
  jumped(log, page(run(1, 50), 200, false, true));
  log.setRequested(log.nextPage("newer"));
  log.applyEvent(posted(201));
  log.applyPage(page(run(51, 200), 200));
  assert.deepEqual(log.nextPage("newer"), { place: { after: 200 } });
  paged(log, page([posted(201)], 201), "newer");
  assert.equal(log.hasNewer, false);
});

test("trimmed messages can be loaded again without a gap", () => {
  const log = joinedLog(300);
  paged(log, page(run(101, 300), 300, true));
  log.trimTo(101, 200);
  assert.deepEqual(log.nextPage("newer"), { place: { after: 200 } });
  assert.deepEqual(log.nextPage("older"), { place: { before: 101 } });
  // The end that the requested page continues is trimmed, so the page no longer fits.
  log.setRequested(log.nextPage("older"));
  log.trimTo(120, 200);
  assert.deepEqual(log.applyPage(page(run(51, 100), 300, true)).messages, []);
  assert.deepEqual(log.nextPage("older"), { place: { before: 120 } });
  log.setRequested(log.nextPage("newer"));
  log.trimTo(120, 180);
  assert.deepEqual(log.applyPage(page(run(201, 250), 300, true, true)).messages, []);
  assert.deepEqual(log.nextPage("newer"), { place: { after: 180 } });
});

test("the later of two jumps counts, and a day after the last message is no target", () => {
  const log = joinedLog(300);
  paged(log, page(run(251, 300), 300, true));
  log.pendingJump = { place: { around: 10 }, arrived: () => {} };
  log.setRequested(log.nextPage());
  const second = { place: { around: 90 }, arrived: () => {} };
  log.pendingJump = second;
  assert.equal(log.applyPage(page(run(1, 30), 300, false, true)).arrived, undefined);
  assert.equal(log.nextPage(), second);
  log.setRequested(log.nextPage());
  assert.equal(log.applyPage(page(run(70, 110), 300, true, true)).messages.length, 41);
  const nowhere = jumped(log, page([], 300, true), { from: "2027-01-01T00:00:00Z" });
  assert.deepEqual([nowhere.messages, nowhere.isElsewhere], [[], false]);
  assert.notEqual(nowhere.arrived, undefined);
  assert.deepEqual(log.nextPage("newer"), { place: { after: 110 } });
});

/** A pseudo-random sequence, the same in each run. */
function chanceOf(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The server's log, and a page of it as it is when it is read. */
class Server {
  events = [];
  write(chance) {
    const seq = this.events.length + 1;
    const old = this.messages().filter((message) => !message.deleted);
    const { seq: target } = old[chance(old.length)] ?? {};
    const kind = target === undefined ? 0 : chance(6);
    if (kind < 4) this.events.push(posted(seq));
    else this.events.push(kind === 4 ? edited(seq, target, `edit ${seq}`) : deleted(seq, target));
  }
  messages() {
    const found = new Map();
    for (const event of this.events)
      if ("username" in event) found.set(event.seq, { ...event });
      else if ("edited" in event) {
        const message = found.get(event.edited);
        if (!message.deleted) Object.assign(message, { message: event.message, edited_at: AT });
      } else Object.assign(found.get(event.deleted), { message: null, deleted: true });
    return [...found.values()];
  }
  page({ before, after, around }, size) {
    const all = this.messages();
    const from = after === undefined ? around : after + 1;
    const place = all.findIndex(({ seq }) => seq >= (from ?? before ?? Number.POSITIVE_INFINITY));
    const at = place < 0 ? all.length : place;
    const start = Math.max(0, at - (after === undefined ? size : 0));
    const end = Math.min(all.length, from === undefined ? at : at + size);
    return page(all.slice(start, end), this.events.length, start > 0, end < all.length);
  }
}

test("in any order of arrival, the window equals that part of the server's log", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const chance = chanceOf(seed);
    const server = new Server();
    for (let n = chance(30); n >= 0; n -= 1) server.write(chance);
    const log = joinedLog(server.events.length);
    /** A message in the form in which the page holds it. */
    let held = new Map();
    let answer = null;
    const note = (message, isNew) => {
      const last = Math.max(0, ...held.keys());
      if (message && (!isNew || (!log.hasNewer && message.seq > last)))
        held.set(message.seq, message);
    };
    const steps = [
      () => server.write(chance),
      () => server.write(chance),
      () => {
        const event = server.events[log.cursor.since];
        if (event) note(log.applyEvent(event).message, "username" in event && !held.has(event.seq));
      },
      () => {
        if (chance(4) === 0) {
          const place = chance(3) ? { around: chance(server.events.length) + 1 } : {};
          log.pendingJump = { place, arrived: () => {} };
        }
        const next = log.nextPage(["older", "newer"][chance(2)]);
        if (next) log.setRequested(next);
      },
      () => {
        if (log.requested) answer ??= server.page(log.requested.place, 1 + chance(5));
      },
      () => {
        if (!answer) return;
        const { messages, isElsewhere } = log.applyPage(answer);
        if (isElsewhere) held = new Map();
        for (const message of messages) held.set(message.seq, message);
        answer = null;
      },
      () => {
        const seqs = [...held.keys()].sort((a, b) => a - b);
        if (seqs.length < 8) return;
        const kept = chance(2) ? seqs.slice(3) : seqs.slice(0, -3);
        log.trimTo(kept[0], kept.at(-1));
        held = new Map(kept.map((seq) => [seq, held.get(seq)]));
      },
    ];
    const check = () => {
      const seqs = [...held.keys()].sort((a, b) => a - b);
      const last = log.hasNewer ? seqs.at(-1) : Math.max(log.cursor.since, seqs.at(-1) ?? 0);
      const all = server.messages().filter(({ seq }) => seq >= seqs[0] && seq <= last);
      if (seqs.length)
        assert.deepEqual(
          seqs,
          all.map(({ seq }) => seq),
          `seed ${seed}`,
        );
      return all;
    };
    for (let n = 0; n < 150; n += 1) {
      steps[chance(steps.length)]();
      check();
    }
    while (log.cursor.since < server.events.length) steps[2]();
    for (const { seq, message } of check())
      assert.equal(held.get(seq).text, message, `seed ${seed}`);
  }
});

test("a log that was empty at first can load older messages later", () => {
  const log = new RoomLog();
  log.applyJoin(join(0));
  for (const event of run(1, 401)) log.applyEvent(event);
  log.trimTo(1, 300);
  assert.deepEqual(log.nextPage("newer"), { place: { after: 300 } });
  assert.equal(log.nextPage("older"), null);
});

test("a page requested before the log started over is not its newest page", () => {
  const log = joinedLog(500);
  log.setRequested({ place: {} });
  assert.deepEqual(log.applyPage(page(run(251, 300), 500, true, true)).messages, []);
  assert.equal(log.requested !== null, true);
  assert.equal(log.applyPage(page(run(451, 500), 500, true)).messages.length, 50);
});
