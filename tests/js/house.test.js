import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const HOME = new URL("../../static/chat/", import.meta.url);
const MODULES = readdirSync(HOME, { recursive: true }).filter((name) => name.endsWith(".js"));
const sourceOf = (name) => readFileSync(new URL(name, HOME), "utf8");
const resolved = (name, target) =>
  new URL(target, new URL(name, HOME)).href.slice(HOME.href.length);
/** The modules that a module imports, as paths below static/chat/. Types are imported in comments. */
const importsOf = (name, source = sourceOf(name)) =>
  [...source.matchAll(/(?:^import .* from|@import \{.*\} from) "(\.\.?\/.+?)"/gm)].map(
    ([, target]) => resolved(name, target),
  );
const folderOf = (name) => name.split("/").at(-2) ?? "";
/** The folders from which each folder may import, besides itself. main.js is above all of them. */
const BELOW = {
  "": ["page", "pane", "log", "dom", "model"],
  lazy: ["dom", "model"],
  page: ["pane", "log", "lazy", "dom", "model"],
  pane: ["log", "lazy", "dom", "model"],
  log: ["dom", "model"],
  dom: [],
  model: [],
};
/** Sentences are translated in all folders. */
const LANGUAGE = "model/language.js";
const upward = (name, source) =>
  importsOf(name, source).filter(
    (target) =>
      target !== LANGUAGE &&
      folderOf(target) !== folderOf(name) &&
      !BELOW[folderOf(name)].includes(folderOf(target)),
  );

test("imports go down: page, pane, log, then dom and model", () => {
  for (const name of MODULES) assert.deepEqual(upward(name), [], name);
});

test("an upward import is found, of a type too", () => {
  const up = [
    'import { Page } from "../page/page.js";',
    '/** @import {Page} from "../page/page.js" */',
  ];
  for (const line of up) assert.deepEqual(upward("log/rows.js", line), ["page/page.js"]);
  assert.deepEqual(upward("model/outbox.js", 'import { part } from "../dom/templates.js";'), [
    "dom/templates.js",
  ]);
});

test("no markup or code is made from strings, and no dialog blocks the page", () => {
  const banned =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc|\beval\b|\bFunction\(|\balert\(|\bconfirm\(|\bprompt\(/;
  for (const name of MODULES) assert.doesNotMatch(sourceOf(name), banned, name);
});

test("imports have no cycles, type imports counted", () => {
  const done = new Set();
  const walk = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(" → "));
    if (done.has(name)) return;
    for (const next of importsOf(name)) walk(next, [...path, name]);
    done.add(name);
  };
  for (const name of MODULES) walk(name, []);
});

test("every import is on a line of its own, where the layer test finds it", () => {
  for (const name of MODULES) {
    const imports = sourceOf(name)
      .split("\n")
      .filter((line) => /^(import|export .* from)\b/.test(line));
    for (const line of imports)
      assert.match(
        line,
        /^import [\w{}*, ]+ from "(\.{1,2}\/[\w/]+\.js|reconnecting-websocket)";$/,
        name,
      );
  }
});

test("what is loaded when first used is in the page's import map, and only types of it are imported", () => {
  const page = readFileSync(new URL("../../templates/chat/index.html", HOME), "utf8");
  for (const name of MODULES.filter((module) => folderOf(module) === "lazy"))
    assert.ok(page.includes(`"${name.replace(".js", "")}": "{% static 'chat/${name}' %}"`), name);
  for (const name of MODULES.filter((module) => folderOf(module) !== "lazy"))
    assert.doesNotMatch(sourceOf(name), /^import .* from ".*lazy\//m, name);
});

test("the model runs without a browser", async () => {
  for (const name of MODULES.filter((module) => folderOf(module) === "model"))
    await import(new URL(name, HOME));
});

const SHEETS = readdirSync(new URL("styles/", HOME)).map((name) => `styles/${name}`);

test("type has the sizes of tokens.css, and colours are mixed in oklab, which keeps the hue", () => {
  for (const name of SHEETS) {
    const source = sourceOf(name).replaceAll(/\/\*.*?\*\//gs, "");
    for (const [declaration] of source.matchAll(/(?<!-)\bfont(-size)?: [^;]+;/g))
      assert.match(declaration, /var\(--(text|small|tiny|title|field)\)|inherit/, name);
    assert.doesNotMatch(source, /color-mix\(in (?!oklab)/, name);
  }
});

test("red is for alerts alone", () => {
  for (const name of SHEETS) {
    const source = sourceOf(name).replaceAll(/\/\*.*?\*\//gs, "");
    for (const [, selector] of source.matchAll(/([^{};]*)\{[^{}]*var\(--alert/g))
      assert.match(selector, /alert|pinned|data-type="2"/, name);
  }
});

test("rules name no physical side, so that the page can be turned for languages from right to left", () => {
  const sides =
    /(?:^|[;{\s])(?:(?:margin|padding|border|scroll-margin|scroll-padding|inset)-(?:left|right)\b|border-(?:top|bottom)-(?:left|right)-radius|(?:left|right)\s*:|(?:text-align|float|clear)\s*:\s*(?:left|right))/;
  // Where the pointer was is measured from the left.
  for (const name of SHEETS)
    for (const line of sourceOf(name).split("\n"))
      if (!line.includes("left: var(--x")) assert.doesNotMatch(line, sides, name);
  for (const rule of [
    "margin-left: 0",
    "a {right: 0",
    "text-align: left",
    "border-left-color: red",
  ])
    assert.match(rule, sides);
  assert.doesNotMatch("margin-inline-start: 0; inset-inline-end: 0; text-align: start", sides);
});

test("every icon is used, and every icon that is used is there", () => {
  const TEMPLATES = new URL("../../templates/", import.meta.url);
  const sources = readdirSync(TEMPLATES, { recursive: true })
    .filter((name) => name.endsWith(".html"))
    .map((name) => readFileSync(new URL(name, TEMPLATES), "utf8"))
    .join("\n");
  const found = (pattern) =>
    [...new Set([...sources.matchAll(pattern)].map(([, id]) => id))].sort();
  assert.deepEqual(found(/icon\.html" with name="([^"]+)"/g), found(/<symbol id="i-([^"]+)"/g));
});

// Each new message cost 60 ms in a log of 300: for such a subject the browser computes the style of every element anew.
test("no rule with :has() has every element as its subject", () => {
  for (const name of SHEETS) {
    const source = sourceOf(name).replaceAll(/\/\*.*?\*\//gs, "");
    for (const [rule] of source.matchAll(/[^{}]*:has\([^{}]*(?=\{)/g))
      for (const selector of rule.split(/,(?![^(]*\))/))
        assert.doesNotMatch(selector.trim(), /:has\(.*[\s>]\*$/, name);
  }
});
