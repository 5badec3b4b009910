import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Alerts } from "../../static/chat/model/alerts.js";
import { Store } from "./store.js";

/** The server's time. The browser's clock may be wrong. */
const NOW = Date.parse("2026-11-21T12:00:00.000Z");
const AT = "2026-11-21T09:18:00.000Z";
const LATER = "2026-11-21T09:19:00.000Z";
const alert = (text, { seq = 1, at = AT } = {}) => ({
  seq,
  username: "monitor",
  text,
  type: 2,
  at,
});
const posted = (message, { seq = 1, at = AT } = {}) => ({
  room: "1",
  username: "monitor",
  message,
  msg_type: 2,
  seq,
  at,
});
const texts = (alerts, room = "1") => alerts.alertsOf(room).map(({ text }) => text);
const idOf = (alerts, text) => alerts.alertsOf("1").find((alert) => alert.text === text).id;

let store;
let alerts;

beforeEach(() => {
  store = new Store();
  alerts = new Alerts(7, store, NOW);
});

test("an alert stays, also after a reload, until this user dismisses it", () => {
  alerts.applyMessages("1", [alert("disk full"), { ...alert("a warning"), type: 1 }], true);
  assert.deepEqual(texts(new Alerts(7, store, NOW)), ["disk full"]);
  assert.deepEqual(texts(new Alerts(8, store, NOW)), []);
  alerts.gotIt("1", idOf(alerts, "disk full"));
  alerts.applyMessages("1", [alert("disk full")], true);
  alerts.mergeAlerts("1", [posted("disk full")]);
  assert.deepEqual(texts(new Alerts(7, store, NOW)), []);
});

test("a new alert is pinned whatever the browser's clock says", () => {
  alerts.applyMessages("1", [alert("disk full", { at: "1999-01-01T00:00:00.000Z" })], true);
  assert.deepEqual(texts(alerts), ["disk full"]);
});

test("alerts that no page of history brings are pinned when the room is joined", () => {
  alerts.mergeAlerts("1", [posted("disk full"), posted("disk fuller", { seq: 60, at: LATER })]);
  assert.deepEqual(texts(alerts), ["disk full", "disk fuller"]);
});

test("two alerts posted at the same time are both pinned", () => {
  alerts.applyMessages("1", [alert("first", { seq: 9 }), alert("second", { seq: 10 })], true);
  assert.deepEqual(texts(alerts), ["first", "second"]);
  alerts.gotIt("1", idOf(alerts, "first"));
  assert.deepEqual(texts(alerts), ["second"]);
  alerts.mergeAlerts("1", [posted("first", { seq: 9 }), posted("second", { seq: 10 })]);
  assert.deepEqual(texts(alerts), ["second"]);
});

test("an edited alert is updated, and a deleted alert is removed", () => {
  alerts.applyMessages("1", [alert("disk full")], true);
  alerts.applyMessages("1", [alert("disk 91 % full")], false);
  assert.deepEqual(texts(alerts), ["disk 91 % full"]);
  alerts.applyMessages("1", [alert(null)], false);
  assert.deepEqual(texts(alerts), []);
});

test("an alert deleted while the page was closed is removed when the room is joined", () => {
  alerts.applyMessages("1", [alert("old", { at: "2026-03-01T10:00:00.000Z" })], true);
  alerts.applyMessages("1", [alert("deleted", { seq: 3, at: LATER })], true);
  alerts.mergeAlerts("1", [posted("disk full", { seq: 2 })]);
  assert.deepEqual(texts(alerts), ["old", "disk full"]);
});

test("an old alert loaded by scrolling back is not pinned", () => {
  alerts.applyMessages("1", [alert("last spring", { at: "2026-03-01T10:00:00.000Z" })], false);
  assert.deepEqual(texts(alerts), []);
});

test("dismissed alerts do not return, in whichever order they were dismissed", () => {
  const time = (n) => new Date(Date.parse(AT) + n * 60_000).toISOString();
  const all = Array.from({ length: 120 }, (_, n) => posted(`alert ${n}`, { seq: n, at: time(n) }));
  alerts.mergeAlerts("1", all);
  for (const { id } of alerts.alertsOf("1").toReversed()) alerts.gotIt("1", id);
  alerts.mergeAlerts("1", all.slice(-20));
  assert.deepEqual(texts(alerts), []);
});

test("an alert dismissed in another tab is dismissed here, also before the storage event", () => {
  const changedRooms = [];
  alerts.applyMessages("1", [alert("disk full")], true);
  alerts.onchange = (room) => changedRooms.push(room);
  new Alerts(7, store, NOW).gotIt("1", idOf(alerts, "disk full"));
  alerts.storageChanged("multichat.alerts.7.1");
  assert.deepEqual([texts(alerts), changedRooms], [[], ["1"]]);
  const other = new Alerts(7, store, NOW);
  alerts.applyMessages("1", [alert("one", { seq: 5 }), alert("two", { seq: 6 })], true);
  other.gotIt("1", idOf(alerts, "one"));
  alerts.applyMessages("1", [alert("three", { seq: 7 })], true);
  assert.deepEqual(texts(alerts), ["two", "three"]);
});

test("items of an earlier version and unreadable items are tolerated", () => {
  const key = "multichat.alerts.7.1";
  store.setItem(key, JSON.stringify({ pinned: { [AT]: { at: AT, text: "x" } }, got: [AT] }));
  assert.deepEqual(texts(alerts), []);
  alerts.mergeAlerts("1", [posted("disk full"), posted("new", { seq: 2, at: LATER })]);
  assert.deepEqual(texts(alerts), ["new"]);
  for (const text of ["{", "null", '{"pinned":null,"got":3}', "[]", "7"]) {
    store.setItem(key, text);
    assert.deepEqual(texts(alerts), [], text);
  }
});

test("without a storage an alert is pinned as long as the page is open", () => {
  store.setItem = () => {
    throw new Error("full");
  };
  alerts.applyMessages("1", [alert("disk full")], true);
  assert.deepEqual(texts(alerts), ["disk full"]);
  alerts.gotIt("1", idOf(alerts, "disk full"));
  assert.deepEqual(texts(alerts), []);
});

test("losing access to a room, and signing out, remove its alerts from the storage", () => {
  alerts.applyMessages("1", [alert("secret")], true);
  alerts.forgetRoom("1");
  assert.equal(store.length, 0);
  alerts.applyMessages("1", [alert("secret")], true);
  alerts.clear();
  assert.equal(store.length, 0);
});

const head = (alerts, last = 1) => ({ 1: { head: last, read: 0, unread: 0, mentions: 0, alerts } });
const RECENT = new Date(NOW).toISOString();

test("an alert waits in any room, also in one that is not open, until the server says otherwise", () => {
  const changed = [];
  alerts.onchange = (room) => changed.push(room);
  alerts.applyHeads(head([1]));
  assert.deepEqual([alerts.waitingRooms, changed], [["1"], ["1"]]);
  alerts.applyHeads(head([]));
  assert.deepEqual([alerts.waitingRooms, changed], [[], ["1", "1"]]);
});

test("an alert that was confirmed on another device is unpinned, but not one that the server has not counted yet", () => {
  for (const seq of [1, 2])
    alerts.applyMessages("1", [alert(`alert ${seq}`, { seq, at: RECENT })], true);
  alerts.applyHeads(head(undefined, 1));
  assert.deepEqual(texts(alerts), ["alert 2"]);
  alerts.applyHeads(head([2], 2));
  assert.deepEqual(texts(alerts), ["alert 2"]);
});

test("what was confirmed offline is confirmed again when the server still waits for it, and waits here no more", () => {
  const confirmed = [];
  alerts.onconfirm = (room, seq) => confirmed.push([room, seq]);
  alerts.applyMessages("1", [alert("disk full", { at: RECENT })], true);
  alerts.gotIt("1", idOf(alerts, "disk full"));
  assert.deepEqual(confirmed, [["1", 1]]);
  alerts.applyHeads(head([1]));
  assert.deepEqual(confirmed.length, 2);
  assert.equal(alerts.isWaiting("1"), false);
});

test("an alert with the number of one that was confirmed in an earlier log is not confirmed unseen", () => {
  const confirmed = [];
  alerts.applyMessages("1", [alert("old", { at: RECENT })], true);
  alerts.gotIt("1", idOf(alerts, "old"));
  const later = new Alerts(7, store, NOW);
  later.onconfirm = (...confirmation) => confirmed.push(confirmation);
  later.applyHeads(head([1]));
  later.mergeAlerts("1", [posted("new", { at: new Date(NOW + 1).toISOString() })]);
  assert.deepEqual([confirmed, later.isWaiting("1"), texts(later)], [[], true, ["new"]]);
});

test("the reader's own alert, and one that is over, are not pinned", () => {
  const over = { username: "bob", seq: 9, at: RECENT };
  alerts.mergeAlerts("1", [
    { ...posted("own", { seq: 1 }), user: 7 },
    { ...posted("over", { seq: 2 }), resolution: over },
  ]);
  alerts.applyMessages("1", [{ ...alert("own", { seq: 3 }), user: 7 }], true);
  assert.deepEqual(texts(alerts), []);
});

test("an alert is unpinned when it was confirmed elsewhere, and stays when it is too old to be listed, whatever the browser's clock says", () => {
  const DAY_MS = 86_400_000;
  for (const wrong of [-30 * DAY_MS, 8 * DAY_MS]) {
    mock.timers.enable({ apis: ["Date"], now: NOW + wrong });
    for (const [age, expected] of [
      [DAY_MS, []],
      [8 * DAY_MS, ["disk full"]],
    ]) {
      alerts = new Alerts(7, new Store(), NOW);
      const at = new Date(NOW - age).toISOString();
      alerts.applyMessages("1", [alert("disk full", { at })], true);
      alerts.applyHeads(head([9], 9));
      assert.deepEqual(texts(alerts), expected);
      alerts.mergeAlerts("1", [posted("disk full", { at })]);
      assert.deepEqual(texts(alerts), expected);
    }
    mock.timers.reset();
  }
});

test("an alert that became too old to be listed while the computer slept stays", () => {
  mock.timers.enable({ apis: ["Date"], now: NOW });
  alerts = new Alerts(7, new Store(), NOW);
  alerts.applyMessages("1", [alert("disk full", { at: new Date(NOW).toISOString() })], true);
  mock.timers.setTime(NOW + 8 * 86_400_000);
  alerts.applyHeads(head([9], 9));
  assert.deepEqual(texts(alerts), ["disk full"]);
  mock.timers.reset();
});
