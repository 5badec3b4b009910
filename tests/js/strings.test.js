import assert from "node:assert/strict";
import { test } from "node:test";
import { isSoon } from "../../static/chat/model/protocol.js";
import {
  aboveWords,
  alertLineWords,
  belowWords,
  closedWords,
  confirmedWords,
  countsWords,
  heldWords,
  keptWords,
  lostWords,
  newMessagesWords,
  presenceWords,
  refusalSentence,
  refusedSentence,
  resultsWords,
  senderWords,
  sentenceFor,
  stateWords,
  typingWords,
  unreadWords,
} from "../../static/chat/model/strings.js";

const people = (...pairs) => presenceWords(new Map(pairs));

test("people who entered and left are condensed into one line", () => {
  assert.equal(people(["bob", "joined"]), "bob joined");
  assert.equal(people(["bob", "joined"], ["dina", "joined"]), "bob and dina joined");
  assert.equal(
    people(["bob", "joined"], ["b", "joined"], ["c", "joined"], ["d", "joined"]),
    "bob and 3 others joined",
  );
  assert.equal(people(["bob", "joined"], ["dina", "left"]), "bob joined · dina left");
});

test("an error is explained in a sentence with its code", () => {
  assert.equal(
    sentenceFor("ROOM_ACCESS_DENIED"),
    "You don't have access to this room. (ROOM_ACCESS_DENIED)",
  );
  assert.equal(
    sentenceFor("NEW_CODE", "The server knows why."),
    "The server knows why. (NEW_CODE)",
  );
  assert.match(sentenceFor("NEW_CODE"), /wrong.*NEW_CODE/);
  const limits = { graphemes: 4000, bytes: 32768 };
  assert.match(
    refusalSentence("MESSAGE_TOO_LONG", limits, "x".repeat(4123)),
    /4.?123 characters; the limit is 4.?000.*MESSAGE_TOO_LONG/,
  );
  assert.match(
    refusalSentence("MESSAGE_TOO_LONG", limits, "👩‍👩‍👧‍👦".repeat(2000)),
    /2.?000 characters take more than 32.?768 bytes/,
  );
});

test("the connection's state is shown in words", () => {
  assert.equal(stateWords("returning", 2300).join(""), "Reconnecting…");
  assert.equal(stateWords("waiting", 2300).join(""), "Offline – trying again in 3 s");
  assert.equal(stateWords("waiting", -1).join(""), "Offline – trying again…");
  assert.equal(stateWords("open", 0).join(""), "Connected");
});

test("signing out names the number of unsent messages that it would discard", () => {
  assert.equal(keptWords(1), "1 message hasn't been sent yet. Log out and discard it?");
  assert.equal(keptWords(2), "2 messages haven't been sent yet. Log out and discard them?");
});

test("an announcement names the kind of message first, and the system as its author", () => {
  assert.equal(senderWords({ username: "bob", type: 0 }), "bob");
  assert.equal(senderWords({ username: "bob", type: 1 }), "Warning. bob");
  assert.equal(senderWords({ username: "", type: 2 }), "Alert. System");
});

test("only commands that the page retries say that it retries", () => {
  const refused = (command, retry_after, error = "RATE_LIMITED") =>
    isSoon({ error, command, ...(retry_after === undefined ? {} : { retry_after }) });
  for (const command of ["join", "resume", "history", "send"]) assert.ok(refused(command, 1.5));
  assert.ok(refused("join", undefined, "SERVER_UNAVAILABLE"));
  for (const command of ["leave", "edit", "delete", "read", undefined])
    assert.ok(!refused(command, 1.5), command);
  assert.ok(!refused("join", 60)); // too many rooms on a page
  assert.ok(!refused("join", undefined, "ROOM_INVALID"));
  assert.match(
    refusedSentence({ error: "SERVER_UNAVAILABLE", command: "send", retry_after: 1 }),
    /retry automatically/,
  );
  for (const code of ["SERVER_UNAVAILABLE", "RATE_LIMITED"])
    assert.doesNotMatch(sentenceFor(code), /retry|moment/);
});

test("counts above 999 are shown as 999+", () => {
  assert.equal(countsWords({ unread: 999, mentions: 0 }), "999");
  assert.equal(countsWords({ unread: 1000, mentions: 3 }), "999+, @3");
  assert.equal(countsWords({ unread: 2000, mentions: 1000 }), "999+, @999+");
  assert.equal(unreadWords({ unread: 1000, mentions: 1 }), "999+ unread, 1 for you");
  assert.equal(unreadWords({ unread: 1000, mentions: 0 }), "999+ unread");
  assert.equal(aboveWords(1000), "999+ new above");
  assert.equal(belowWords(1000), "999+ new below");
  assert.equal(belowWords(999), "999 new below");
});

test("a single new message is in the singular", () => {
  assert.equal(newMessagesWords(1, "Lobby"), "1 new message in Lobby");
  assert.equal(newMessagesWords(12, "Lobby"), "12 new messages in Lobby");
});

test("a print says which messages of the room it has", () => {
  const words = (hasOlder, hasNewer) => heldWords("A", "B", { hasOlder, hasNewer });
  assert.equal(words(false, false), "Messages from A to B.");
  assert.match(words(true, false), /Older messages were not loaded/);
  assert.match(words(true, true), /Older and newer messages/);
});

test("the line of an alert names its room, counts the others, and has its text if its room is open", () => {
  assert.equal(alertLineWords("Lobby", "", 0), "Alert in Lobby");
  assert.equal(alertLineWords("Lobby", "Fire", 1), "Alert in Lobby (and 1 more room): Fire");
  assert.equal(alertLineWords("Lobby", "", 2), "Alert in Lobby (and 2 more rooms)");
});

test("at most two of the users who confirmed an alert are named", () => {
  const words = (count, ...names) =>
    confirmedWords({
      confirmations: { count, users: names.map((username) => ({ username })) },
      resolution: null,
    });
  assert.equal(words(0), "");
  assert.equal(words(1, "bob"), "Confirmed by bob");
  assert.equal(words(2, "bob", "dina"), "Confirmed by bob and dina");
  assert.equal(words(4, "bob", "dina", "eve"), "Confirmed by bob, dina and 2 more");
  const over = { confirmations: { count: 0, users: [] }, resolution: { username: "eve" } };
  assert.equal(confirmedWords(over), "Over, says eve");
});

test("a message whose room is gone says so, also when the room has no title", () => {
  assert.equal(
    lostWords("Lobby", false),
    "This message to “Lobby” wasn't sent. The room is no longer available to you.",
  );
  assert.match(lostWords(undefined, true, true), /^You were writing this in a room\. The room was/);
});

test("the number of results is open if there are more", () => {
  assert.equal(resultsWords(0, false), "No messages found.");
  assert.equal(resultsWords(1, false), "1 message");
  assert.equal(resultsWords(1, true), "1+ messages");
  assert.equal(resultsWords(50, true), "50+ messages");
});

test("titles, names and texts that turn text are isolated in each sentence", () => {
  const [evil, isolated] = ["\u202eevil", "\u2068\u202eevil\u2069"];
  const users = [evil, "bob", "eve"].map((username, user) => ({ username, user }));
  assert.equal(closedWords(evil), `${isolated} is closed.`);
  assert.equal(typingWords([evil]), `${isolated} is writing …`);
  assert.equal(typingWords([evil, "bob"]), `\u2068${isolated} and bob\u2069 are writing …`);
  assert.equal(people([evil, "joined"], ["bob", "left"]), `${isolated} joined · bob left`);
  assert.equal(alertLineWords(evil, evil, 0), `Alert in ${isolated}: ${isolated}`);
  assert.equal(senderWords({ username: evil, type: 2 }), `Alert. ${isolated}`);
  assert.equal(newMessagesWords(2, evil), `2 new messages in ${isolated}`);
  const confirmed = (count) =>
    confirmedWords({ confirmations: { count, users }, resolution: users[0] });
  const over = `Over, says ${isolated}`;
  assert.equal(confirmed(2), `${over}. Confirmed by ${isolated} and bob`);
  assert.equal(confirmed(3), `${over}. Confirmed by \u2068${isolated}, bob\u2069 and 1 more`);
  assert.equal(
    lostWords(evil, true).startsWith(`This message to “${isolated}” wasn't sent.`),
    true,
  );
});
