import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Alerts } from "../../static/chat/alerts.js";
import { Store } from "./store.js";

const AT = "2026-11-21T09:18:00.000Z";
const alert = (text, at = AT) => ({ seq: 1, username: "monitor", text, type: 2, at });
const texts = (alerts) => alerts.of("1").map(({ text }) => text);

let store;
let alerts;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-11-21T10:00:00Z") });
  store = new Store();
  alerts = new Alerts(7, store);
});

test("an alert stays, also after a reload, until this user says so", () => {
  alerts.take("1", [alert("disk full"), { ...alert("a warning"), type: 1 }]);
  assert.deepEqual(texts(new Alerts(7, store)), ["disk full"]);
  assert.deepEqual(texts(new Alerts(8, store)), []);
  alerts.gotIt("1", AT);
  alerts.take("1", [alert("disk full")]);
  assert.deepEqual(texts(new Alerts(7, store)), []);
});

test("an alert that is changed is shown as it is now, and a deleted one goes", () => {
  alerts.take("1", [alert("disk full")]);
  alerts.take("1", [alert("disk 91 % full")]);
  assert.deepEqual(texts(alerts), ["disk 91 % full"]);
  alerts.take("1", [alert(null)]);
  assert.deepEqual(texts(alerts), []);
});

test("an old one that scrolling back brings is history", () => {
  alerts.take("1", [alert("last spring", "2026-03-01T10:00:00.000Z")]);
  assert.deepEqual(texts(alerts), []);
});

test("another tab's answer counts here, too", () => {
  const told = [];
  alerts.take("1", [alert("disk full")]);
  alerts.onchange = (room) => told.push(room);
  new Alerts(7, store).gotIt("1", AT);
  alerts.heard("multichat.alerts.7.1");
  assert.deepEqual([texts(alerts), told], [[], ["1"]]);
});

test("a room that is closed to its reader, and signing out, leave nothing", () => {
  alerts.take("1", [alert("secret")]);
  alerts.forget("1");
  assert.equal(store.length, 0);
  alerts.take("1", [alert("secret")]);
  alerts.clear();
  assert.equal(store.length, 0);
});
