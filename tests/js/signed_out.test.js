import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { SignedOut } from "../../static/chat/model/signed_out.js";
import { Store } from "./store.js";

let store;
let user;
let asked;
let calls;
let page;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  store = new Store();
  asked = 0;
  calls = [];
  user = null;
  page = new SignedOut(7, {
    store,
    fetchUser: async () => {
      asked += 1;
      if (user instanceof Error) throw user;
      return user;
    },
    userReturned: () => calls.push("returned"),
    userReplaced: () => calls.push("replaced"),
  });
});

test("a signed-in page does not ask who is signed in", async () => {
  await page.checkUser();
  mock.timers.tick(60_000);
  page.tick(true);
  assert.equal(asked, 0);
});

test("a signed-out page notices that its user, or another user, has signed in", async () => {
  page.setSignedOut(true);
  await page.checkUser();
  assert.deepEqual(calls, []);
  user = 7;
  await page.checkUser();
  user = 8;
  await page.checkUser();
  assert.deepEqual(calls, ["returned", "replaced"]);
});

test("a signed-out page asks when another page announces that it is signed in", async () => {
  page.setSignedOut(true);
  const calls = [];
  const setItem = (key, text) => calls.push([key, text]);
  const removeItem = (key) => store.removeItem(key);
  const other = new SignedOut(7, { store: { setItem, removeItem } });
  other.announce();
  page.storageChanged("something.else");
  assert.equal(asked, 0);
  page.storageChanged(calls[0][0]);
  assert.equal(asked, 1);
  // The same user later: a storage event fires only if the value changes.
  mock.timers.tick(1);
  other.announce();
  assert.notEqual(calls[1][1], calls[0][1]);
  new SignedOut(7, { store }).announce();
  assert.equal(store.length, 0); // the event is enough
});

test("a visible signed-out page asks from time to time", () => {
  page.setSignedOut(true);
  page.tick(true);
  mock.timers.tick(30_000);
  page.tick(false);
  assert.equal(asked, 0);
  page.tick(true);
  page.tick(true);
  assert.equal(asked, 1);
});

test("without an answer a page asks again later, and asks once at a time", async () => {
  page.setSignedOut(true);
  user = new Error("no answer");
  await Promise.all([page.checkUser(), page.checkUser()]);
  assert.equal(asked, 1);
  user = 7;
  await page.checkUser();
  assert.deepEqual(calls, ["returned"]);
});

test("an answer that arrives after the page has continued is ignored", async () => {
  page.setSignedOut(true);
  user = 7;
  const looking = page.checkUser();
  page.setSignedOut(false);
  await looking;
  assert.deepEqual(calls, []);
});

test("without a storage nothing fails", () => {
  store.setItem = () => {
    throw new Error("full");
  };
  page.announce();
});
