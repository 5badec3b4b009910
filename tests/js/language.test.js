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

test("a value that turns text cannot reach beyond its place in a sentence", async () => {
  const { gettext, isolate } = await load("en", undefined);
  const filled = (value) => gettext("{a} left", { a: value });
  // Values that turn nothing stay as they are.
  for (const plain of ["bob", "Жанна", "日本語", "👍🏽", "e\u0301", 7])
    assert.equal(filled(plain), `${plain} left`);
  for (const turning of [
    "שלום",
    "سلام",
    "a שלום",
    "𞤀𞤣𞤤𞤢𞤥",
    "\u202eevil",
    "a\u202bb\u202c",
    "\u200fa",
  ])
    assert.equal(filled(turning), `\u2068${turning}\u2069 left`);
  // What it opens is closed, and it closes nothing that it has not opened.
  assert.equal(isolate("a\u2066b"), "\u2068a\u2066b\u2069\u2069");
  assert.equal(isolate("a\u2067\u2068b\u2069"), "\u2068a\u2067\u2068b\u2069\u2069\u2069");
  assert.equal(isolate("a\u2069\u202eb"), "\u2068a\u202eb\u2069");
  assert.equal(isolate("\u2069\u2069a\u2066b\u2069\u2069c"), "\u2068a\u2066b\u2069c\u2069");
  // A sentence that is filled into another one keeps its own isolates.
  const names = gettext("{a} and {b}", { a: "\u202eevil", b: "bob" });
  assert.equal(filled(names), "\u2068\u2068\u202eevil\u2069 and bob\u2069 left");
});
