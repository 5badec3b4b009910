import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, isPosted, isTransient, refusalOf } from "../../static/chat/model/protocol.js";

const LIMITS = { graphemes: 4000, bytes: 32 * 1024 };
/** The kind that the page decodes for each of the server's structs. */
const KINDS = {
  ShownUsers: "users",
  AppearanceFrame: "appearance",
  AroundFrame: "around",
  PaneSetsFrame: "workspaces",
  Joined: "join",
  Left: "leave",
  EnteredOrLeft: "signal",
  Posted: "event",
  Edited: "event",
  Overtaken: "event",
  Deleted: "event",
  Reacted: "event",
  Confirmed: "event",
  Resolved: "event",
  Acknowledged: "ack",
  HistoryPage: "history",
  Refused: "error",
  Pong: "pong",
  Bye: "bye",
  Present: "present",
  IsTyping: "typing",
  FloorRaised: "floor",
  Quoted: "quote",
  CopiesFound: "copies",
  Rooms: "rooms",
  Heads: "heads",
  Names: "people",
  MentionPage: "mentioned",
  Notifies: "notify",
};

const kindOf = (frame) => decode(JSON.stringify(frame)).kind;

test("each frame is decoded to its kind", () => {
  assert.equal(kindOf({ join: "1", title: "Lobby", head: 3, floor: 1, epoch: "k3" }), "join");
  assert.equal(kindOf({ leave: "1" }), "leave");
  assert.equal(kindOf({ leave: "1", reason: "ROOM_INVALID" }), "leave");
  assert.equal(kindOf({ room: "1", username: "bob", message: "hi", msg_type: 0, seq: 1 }), "event");
  assert.equal(kindOf({ room: "1", edited: 1, message: "hi", seq: 2 }), "event");
  assert.equal(kindOf({ room: "1", edited: 1, overtaken: true, seq: 2 }), "event");
  assert.equal(kindOf({ room: "1", deleted: 1, seq: 3 }), "event");
  assert.equal(kindOf({ room: "1", username: "bob", message: null, msg_type: 4 }), "signal");
  assert.equal(kindOf({ room: "1", present: ["bob"] }), "present");
  assert.equal(kindOf({ room: "1", present: { bob: false } }), "present");
  assert.equal(kindOf({ ack: "u", room: "1", seq: 1 }), "ack");
  assert.equal(kindOf({ history: "1", events: [], as_of: 0, more: false }), "history");
  assert.equal(kindOf({ error: "ROOM_INVALID", room: "1", command: "join" }), "error");
  assert.equal(kindOf({ bye: { retry_ms: 1 } }), "bye");
  assert.equal(kindOf({ pong: true }), "pong");
  assert.equal(kindOf({ rooms: [] }), "rooms");
  assert.equal(kindOf({ heads: {} }), "heads");
  assert.equal(kindOf({ users: {} }), "users");
  assert.equal(kindOf({ around: 0 }), "around");
  assert.equal(kindOf({ appearance: {} }), "appearance");
  assert.equal(kindOf({ people: "1", prefix: "", names: [] }), "people");
});

test("unknown frames of a newer server are no error", () => {
  for (const frame of [{ crowns: {} }, { room: "1", crowned: "bob" }, [], null, 3]) {
    assert.equal(kindOf(frame), "unknown");
  }
  assert.equal(decode("{").kind, "unknown");
});

test("every golden frame of the server is decoded to its kind", () => {
  const { frames } = JSON.parse(
    readFileSync(new URL("../frames/server.json", import.meta.url), "utf8"),
  );
  assert.ok(frames.length > 10);
  for (const { name, kind, text } of frames)
    assert.equal(decode(text).kind, KINDS[kind] ?? "unknown", name);
});

test("posted events are distinguished from edits and deletes", () => {
  assert.equal(
    isPosted({ room: "1", username: "bob", message: null, msg_type: 0, deleted: true, seq: 1 }),
    true,
  );
  assert.equal(isPosted({ room: "1", reacted: 1, username: "bob", seq: 3 }), false);
  assert.equal(isPosted({ room: "1", deleted: 1, seq: 2 }), false);
});

test("temporary refusals are distinguished from final ones", () => {
  assert.equal(isTransient({ error: "SERVER_UNAVAILABLE" }), true);
  assert.equal(isTransient({ error: "RATE_LIMITED" }), true);
  assert.equal(isTransient({ error: "USER_MUTED", retry_after: 60 }), true);
  assert.equal(isTransient({ error: "MESSAGE_EMPTY" }), false);
});

test("the length of a message is limited in graphemes and in bytes", () => {
  const family = "👨‍👩‍👧‍👦";
  assert.equal(refusalOf("hi", LIMITS), null);
  assert.equal(refusalOf(" \n\t", LIMITS), "MESSAGE_EMPTY");
  assert.equal(refusalOf("\u200b\u2060\u3000", LIMITS), "MESSAGE_EMPTY");
  assert.equal(refusalOf("a\0b", LIMITS), "MESSAGE_INVALID");
  assert.equal(refusalOf("half an \ud83d emoji", LIMITS), "MESSAGE_INVALID");
  assert.equal(refusalOf("a whole 😀", LIMITS), null);
  assert.equal(refusalOf("a".repeat(4000), LIMITS), null);
  assert.equal(refusalOf("a".repeat(4001), LIMITS), "MESSAGE_TOO_LONG");
  assert.equal(refusalOf("e\u0301".repeat(4000), LIMITS), null);
  assert.equal(refusalOf("e\u0301".repeat(4001), LIMITS), "MESSAGE_TOO_LONG");
  assert.equal(refusalOf(family.repeat(1300), LIMITS), null);
  assert.equal(refusalOf(family.repeat(1400), LIMITS), "MESSAGE_TOO_LONG");
});
