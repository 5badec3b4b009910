import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { SignedOut } from "../../static/chat/model/signed_out.js";
import { Store } from "./store.js";

let store;
let user;
let asked;
let told;
let page;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  store = new Store();
  asked = 0;
  told = [];
  user = null;
  page = new SignedOut(7, {
    store,
    fetchUser: async () => {
      asked += 1;
      if (user instanceof Error) throw user;
      return user;
    },
    returned: () => told.push("returned"),
    replaced: () => told.push("replaced"),
  });
});

test("a page that is signed in asks nothing", async () => {
  await page.checkUser();
  mock.timers.tick(60_000);
  page.tick(true);
  assert.equal(asked, 0);
});

test("when its user is back it goes on, and when another one is it says so", async () => {
  page.setSignedOut(true);
  await page.checkUser();
  assert.deepEqual(told, []);
  user = 7;
  await page.checkUser();
  user = 8;
  await page.checkUser();
  assert.deepEqual(told, ["returned", "replaced"]);
});

test("it asks when another page says that it is signed in", async () => {
  page.setSignedOut(true);
  const told = [];
  const setItem = (key, text) => told.push([key, text]);
  const removeItem = (key) => store.removeItem(key);
  const other = new SignedOut(7, { store: { setItem, removeItem } });
  other.announce();
  page.storageChanged("something.else");
  assert.equal(asked, 0);
  page.storageChanged(told[0][0]);
  assert.equal(asked, 1);
  // The same user again, later: a storage event comes only with another text.
  mock.timers.tick(1);
  other.announce();
  assert.notEqual(told[1][1], told[0][1]);
  new SignedOut(7, { store }).announce();
  assert.equal(store.length, 0); // the event is enough
});

test("it asks now and then while it is looked at", () => {
  page.setSignedOut(true);
  page.tick(true);
  mock.timers.tick(30_000);
  page.tick(false);
  assert.equal(asked, 0);
  page.tick(true);
  page.tick(true);
  assert.equal(asked, 1);
});

test("without an answer it asks again later, and one question at a time", async () => {
  page.setSignedOut(true);
  user = new Error("no answer");
  await Promise.all([page.checkUser(), page.checkUser()]);
  assert.equal(asked, 1);
  user = 7;
  await page.checkUser();
  assert.deepEqual(told, ["returned"]);
});

test("an answer that comes when the page goes on already is not told", async () => {
  page.setSignedOut(true);
  user = 7;
  const looking = page.checkUser();
  page.setSignedOut(false);
  await looking;
  assert.deepEqual(told, []);
});

test("without a store nothing fails", () => {
  store.setItem = () => {
    throw new Error("full");
  };
  page.announce();
});
