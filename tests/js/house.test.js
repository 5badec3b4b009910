import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const HOME = new URL("../../static/chat/", import.meta.url);
const MODULES = readdirSync(HOME).filter((name) => name.endsWith(".js"));
const sourceOf = (name) => readFileSync(new URL(name, HOME), "utf8");
const importsOf = (name) =>
  [...sourceOf(name).matchAll(/^import .* from "\.\/(.+)";$/gm)].map(([, file]) => file);

test("nothing is made from strings, and nothing interrupts", () => {
  const banned =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc|\beval\b|\bFunction\(|\balert\(|\bconfirm\(|\bprompt\(/;
  for (const name of MODULES) assert.doesNotMatch(sourceOf(name), banned, name);
});

test("imports have no cycles: collecting static files would not end", () => {
  const walk = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(" → "));
    for (const next of importsOf(name)) walk(next, [...path, name]);
  };
  for (const name of MODULES) walk(name, []);
});

test("every import is on a line of its own that collecting understands", () => {
  for (const name of MODULES) {
    const imports = sourceOf(name)
      .split("\n")
      .filter((line) => /^(import|export .* from)\b/.test(line));
    for (const line of imports)
      assert.match(line, /^import [\w{}, ]+ from "(\.\/\w+\.js|reconnecting-websocket)";$/, name);
  }
});

test("what has no elements runs without a browser", async () => {
  for (const name of [
    "protocol",
    "room_log",
    "outbox",
    "connection",
    "workspace",
    "dates",
    "drafts",
    "entries",
    "outbox_store",
    "records",
    "room_lock",
    "tabs",
    "keys",
    "layout",
    "words",
  ])
    await import(new URL(`${name}.js`, HOME));
});
