import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

const HOME = "../../static/chat/model/language.js";
let loads = 0;

/** The module as a page in this language loads it. */
async function load(lang, multichatCatalogue) {
  Object.assign(globalThis, { document: { documentElement: { lang } }, multichatCatalogue });
  loads += 1;
  return import(`${HOME}?${loads}`);
}

afterEach(() => {
  delete globalThis.document;
  delete globalThis.multichatCatalogue;
});

test("without a catalogue, sentences stay English and values are filled in", async () => {
  const { gettext, ngettext, pgettext } = await load("en", undefined);
  assert.equal(gettext("Closed."), "Closed.");
  assert.equal(gettext("{room} is closed.", { room: "Lobby" }), "Lobby is closed.");
  assert.equal(pgettext("room", "Open"), "Open");
  assert.equal(ngettext("{count} room", "{count} rooms", 1), "1 room");
  assert.equal(ngettext("{count} room", "{count} rooms", 0), "0 rooms");
});

test("the catalogue translates, by the plural categories of its language", async () => {
  const { gettext, ngettext, pgettext } = await load("pl", {
    "{room} is closed.": "Zamknięto: {room}.",
    "state\u0004Open": "Otwarte",
    "{count} room": { one: "{count} pokój", few: "{count} pokoje", many: "{count} pokojów" },
  });
  assert.equal(gettext("{room} is closed.", { room: "Lobby" }), "Zamknięto: Lobby.");
  assert.equal(gettext("Not there"), "Not there");
  assert.equal(pgettext("state", "Open"), "Otwarte");
  const rooms = [1, 3, 5].map((count) => ngettext("{count} room", "{count} rooms", count));
  assert.deepEqual(rooms, ["1 pokój", "3 pokoje", "5 pokojów"]);
});

test("a value is never read as a pattern, and braces of a message stay", async () => {
  const { gettext } = await load("en", undefined);
  assert.equal(gettext("{a} and {b}", { a: "{b}", b: "$&" }), "{b} and $&");
  assert.equal(gettext("{missing}", {}), "{missing}");
});

test("dates and numbers follow the page's language, and a browser's own variety of it", async () => {
  assert.equal((await load("de", {})).LOCALE, "de");
  Object.defineProperty(globalThis, "navigator", {
    value: { languages: ["fr", "de-AT", "de"] },
    configurable: true,
  });
  assert.equal((await load("de", {})).LOCALE, "de-AT");
  const own = new Intl.NumberFormat().resolvedOptions().locale.split("-")[0];
  assert.equal((await load(own, undefined)).LOCALE, undefined);
});
