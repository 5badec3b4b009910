import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keysOf, WITHOUT_TYPING } from "../../static/chat/model/keys_alone.js";
import { Preferences } from "../../static/chat/model/preferences.js";
import {
  ChangeableShortcuts,
  chordOf,
  chordWords,
  DEFAULTS,
  LABELS,
} from "../../static/chat/model/shortcuts.js";
import { Store } from "./store.js";

const NOTHING = { altKey: false, shiftKey: false, ctrlKey: false, metaKey: false };
const pressed = (key, code, modifiers = {}) => ({ key, code, ...NOTHING, ...modifiers });
const CTRL = { ctrlKey: true };
const CTRL_SHIFT = { ctrlKey: true, shiftKey: true };
const shortcuts = (isMac = false) =>
  new ChangeableShortcuts(new Preferences(7, new Store()), isMac);

/** The chords of the table "Keys that others own" in docs/page.md, and those that the page takes on purpose. */
function ownedChords() {
  const text = readFileSync(new URL("../../docs/page.md", import.meta.url), "utf8");
  const section = text.split("### Keys that others own")[1].split("\n#")[0];
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && line.includes("`"));
  const all = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, chord]) => chord));
  const taken = [...section.matchAll(/taken on purpose: (.*)/g)].flatMap(([, list]) =>
    [...list.matchAll(/`([^`]+)`/g)].map(([, chord]) => chord),
  );
  return { owned: new Set(all), taken: new Set(taken) };
}

test("no default chord belongs to a browser, a desktop or a screen reader, but those taken on purpose", () => {
  const { owned, taken } = ownedChords();
  assert.ok(owned.size > 80, "the table was read");
  for (const isMac of [false, true])
    for (const name of Object.keys(DEFAULTS)) {
      const chord = shortcuts(isMac).chordFor(name);
      const each = chord.includes("#")
        ? [..."123456789"].map((n) => chord.replace("#", n))
        : [chord];
      for (const one of each) assert.ok(!owned.has(one) || taken.has(one), `${name}: ${one}`);
    }
});

test("each shortcut has a label and a chord of its own", () => {
  assert.deepEqual(Object.keys(LABELS), Object.keys(DEFAULTS));
  assert.equal(new Set(Object.values(DEFAULTS)).size, Object.keys(DEFAULTS).length);
});

test("a chord is the same on every keyboard layout", () => {
  assert.equal(chordOf(pressed("k", "KeyK", CTRL)), "Control+K");
  assert.equal(chordOf(pressed("л", "KeyK", CTRL)), "Control+K");
  assert.equal(chordOf(pressed("!", "Digit1", CTRL_SHIFT)), "Control+Shift+1");
  assert.equal(chordOf(pressed("&", "Digit1", CTRL_SHIFT)), "Control+Shift+1");
  assert.equal(chordOf(pressed("<", "Comma", CTRL_SHIFT)), "Control+Shift+Comma");
  assert.equal(chordOf(pressed("F6", "F6", { shiftKey: true })), "Shift+F6");
});

test("while nothing is typed, a key alone can be a shortcut", () => {
  assert.equal(keysOf(pressed("e", "KeyE")), "E");
  assert.equal(keysOf(pressed(" ", "Space")), "Space");
  assert.equal(keysOf(pressed("Escape", "Escape")), "Escape");
  assert.equal(keysOf(pressed("e", "KeyE", CTRL)), "Control+E");
  assert.equal(keysOf(pressed(" ", "Space", { shiftKey: true })), "Space");
  for (const name of WITHOUT_TYPING) assert.equal(chordOf(pressed(shortcuts().chordFor(name))), "");
});

test("a key that types a letter or is a modifier alone is no chord", () => {
  assert.equal(chordOf(pressed("k", "KeyK")), "");
  assert.equal(chordOf(pressed("K", "KeyK", { shiftKey: true })), "");
  assert.equal(chordOf(pressed("Control", "ControlLeft", CTRL)), "");
});

test("a shortcut is found by its chord, with the number of the pane", () => {
  const find = (event) => shortcuts().find(event);
  assert.deepEqual(find(pressed("k", "KeyK", CTRL)), { name: "find", digit: 0 });
  assert.deepEqual(find(pressed("#", "Digit3", CTRL_SHIFT)), { name: "paneNumber", digit: 3 });
  assert.equal(find(pressed(")", "Digit0", CTRL_SHIFT)), null);
  assert.equal(
    shortcuts(true).find(pressed("k", "KeyK", CTRL)),
    null,
    "on a Mac it deletes the line",
  );
  assert.equal(shortcuts(true).find(pressed("k", "KeyK", { metaKey: true })).name, "find");
});

test("a user changes a shortcut, switches it off, and gets the default back", () => {
  const own = shortcuts();
  own.change("nextUnread", "Control+Shift+F9");
  assert.equal(own.find(pressed("F9", "F9", CTRL_SHIFT)).name, "nextUnread");
  assert.equal(own.chordFor("moveRight"), "", "one chord does one thing");
  assert.equal(own.find(pressed("F8", "F8")), null);
  own.change("nextUnread", "");
  assert.equal(own.find(pressed("F9", "F9", CTRL_SHIFT)), null);
  own.change("nextUnread", null);
  assert.equal(own.find(pressed("F8", "F8")).name, "nextUnread");
  own.change("paneNumber", "Alt+5");
  assert.equal(own.find(pressed("2", "Digit2", { altKey: true })).digit, 2);
});

test("the chords of earlier versions work until the user chooses another", () => {
  const own = shortcuts();
  const former = pressed("ArrowDown", "ArrowDown", { altKey: true, shiftKey: true });
  assert.equal(own.find(former).name, "nextUnread");
  assert.equal(own.find(former, true), null, "on a Mac it selects words");
  own.change("nextUnread", "F9");
  assert.equal(own.find(former), null);
});

test("chords are shown as keyboards name the keys", () => {
  assert.equal(chordWords("Control+Shift+Comma"), "Ctrl+Shift+,");
  assert.equal(chordWords("Alt+Shift+ArrowDown"), "Alt+Shift+↓");
  assert.equal(chordWords("Meta+K", true), "⌘+K");
});

test("a chord that the user chose wins over those of earlier versions and over numbers", () => {
  const own = shortcuts();
  own.change("edit", "Alt+Shift+ArrowDown");
  const down = pressed("ArrowDown", "ArrowDown", { altKey: true, shiftKey: true });
  assert.equal(own.find(down)?.name, "edit");
  own.change("help", "Control+Shift+3");
  assert.equal(own.find(pressed("#", "Digit3", CTRL_SHIFT))?.name, "help");
  assert.deepEqual(own.find(pressed("$", "Digit4", CTRL_SHIFT)), { name: "paneNumber", digit: 4 });
});
