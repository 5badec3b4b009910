import assert from "node:assert/strict";
import { test } from "node:test";
import { Quotes } from "../../static/chat/model/quotes.js";
import { RoomLog } from "../../static/chat/model/room_log.js";

const posted = (seq) => ({ room: "3", username: "bob", message: `text ${seq}`, msg_type: 0, seq });
const turn = () => new Promise((resolve) => setTimeout(resolve));

function quotes() {
  const sent = [];
  const changed = [];
  let isOnline = true;
  const made = new Quotes((command) => isOnline && Boolean(sent.push(command)));
  made.onchange = (room, seqs) => changed.push([room, seqs]);
  return { made, sent, changed, setOnline: (value) => (isOnline = value) };
}

test("messages of a room are asked for together, once, and kept", async () => {
  const { made, sent, changed } = quotes();
  for (const seq of [41, 12, 41]) assert.equal(made.messageOf("3", seq), undefined);
  await turn();
  assert.deepEqual(sent, [{ command: "quote", room: "3", seqs: [41, 12] }]);
  made.applyFrame({ quote: "3", events: [posted(41)], as_of: 50 });
  assert.deepEqual(changed, [["3", [41, 12]]]);
  assert.equal(made.messageOf("3", 41)?.message, "text 41");
  assert.equal(made.messageOf("3", 12), null);
  await turn();
  assert.equal(sent.length, 1);
  made.forget("3", 41);
  made.messageOf("3", 41);
  await turn();
  assert.deepEqual(sent[1], { command: "quote", room: "3", seqs: [41] });
});

test("those that did not fit are asked for again, and more than fifty in several commands", async () => {
  const { made, sent } = quotes();
  for (let seq = 1; seq <= 60; seq += 1) made.messageOf("3", seq);
  await turn();
  assert.equal(sent[0].seqs.length, 50);
  made.applyFrame({ quote: "3", events: [posted(1)], as_of: 90, more: true });
  await turn();
  assert.equal(sent.length, 2);
  assert.deepEqual(sent[1].seqs.slice(0, 11), [51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 2]);
});

test("a reader who may not enter the room gets no message, and is not asked for again", async () => {
  const { made, sent } = quotes();
  made.messageOf("3", 41);
  await turn();
  made.refused("3");
  assert.equal(made.messageOf("3", 41), null);
  await turn();
  assert.equal(sent.length, 1);
});

test("what was not answered is asked for after the connection came back", async () => {
  const { made, sent, setOnline } = quotes();
  made.messageOf("3", 41);
  await turn();
  setOnline(false);
  made.messageOf("4", 7);
  await turn();
  setOnline(true);
  made.connected();
  await turn();
  assert.deepEqual(
    sent.map(({ room, seqs }) => [room, seqs]),
    [
      ["3", [41]],
      ["4", [7]],
      ["3", [41]],
    ],
  );
});

test("a message knows its copies and what it quotes", () => {
  const log = new RoomLog(7);
  log.applyJoin({ join: "1", title: "Lobby", head: 0, floor: 1, epoch: "k3" });
  const source = { room: "3", seq: 41 };
  const { message } = log.applyEvent({ ...posted(1), room: "1", across: "u", source });
  assert.deepEqual([message.across, message.source], ["u", source]);
});

test("an answer to another part of the page does not say that anything is missing", async () => {
  const sent = [];
  const quotes = new Quotes((command) => sent.push(command) > 0);
  quotes.messageOf("1", 7);
  await null;
  quotes.applyFrame({ quote: "1", events: [{ seq: 5, message: "five" }], as_of: 9 });
  assert.equal(quotes.messageOf("1", 7), undefined);
  assert.equal(quotes.messageOf("1", 5).message, "five");
  quotes.applyFrame({ quote: "1", events: [], as_of: 9 });
  assert.equal(quotes.messageOf("1", 7), null);
});
