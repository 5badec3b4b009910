import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { textOf, tokensOf } from "./source.js";

const HOME = new URL("../../static/chat/", import.meta.url);
const LANGUAGES = new URL("languages/", HOME);
const MODULES = readdirSync(HOME, { recursive: true }).filter(
  (name) => name.endsWith(".js") && !name.startsWith("languages/"),
);
/** The functions that translate, and how many literals they begin with. The server translates what the worker says. */
const LITERALS = { gettext: 1, pgettext: 2, ngettext: 2, translate: 1 };

/** Strings that are not shown, although they look like words. */
const NOT_SHOWN = [
  // keys, as events and chords name them
  /^(Alt|Backspace|Control|Digit|Enter|Escape|Meta|Mod|Shift|Space|Tab)$/,
  // the name of the product, which is the same in every language
  /^(\) )?Multichat$/,
  // what a browser calls dragged files
  /^Files$/,
  // the name of a browser's class
  /^Notification$/,
  // states of the connection and of a message, and why a socket is closed
  /^(signed out|on its way|no answer)$/,
  // values of attributes: `rel`, `class`
  /^(noopener noreferrer|editing replying)$/,
  // selectors and markup
  /^([.[]|nav li)/,
  /^<svg /,
];
const WORDS = /^[^\p{L}]*\p{Lu}\p{Ll}+(?![\p{L}+-])|\p{Ll}{2} \p{Ll}{2}/u;

const sourceOf = (name) => readFileSync(new URL(name, HOME), "utf8");
const placeholdersOf = (text) => new Set(text.match(/\{\w+\}/g));

/** The calls that translate: their function, their literals, and the sign after each of these. */
function callsOf(tokens) {
  return tokens.flatMap(({ kind, text: name }, at) => {
    if (kind !== "word" || !Object.hasOwn(LITERALS, name)) return [];
    if (tokens[at + 1]?.text !== "(" || tokens[at - 1]?.text === "function") return [];
    // A literal and the comma after it
    const found = tokens.slice(at + 2, at + 2 + 2 * LITERALS[name]);
    const literals = found.filter((_, i) => i % 2 === 0);
    return [{ name, literals, signs: found.filter((_, i) => i % 2).map(({ text }) => text) }];
  });
}

/** What looks like a sentence or a label and is not translated. */
function untranslated(source) {
  const tokens = tokensOf(source);
  const known = new Set(callsOf(tokens).flatMap(({ literals }) => literals));
  const isError = (at) => tokens[at - 1]?.text === "(" && /Error$/.test(tokens[at - 2]?.text);
  const isKey = (at) => tokens[at + 1]?.text === ":" && /^[{,]$/.test(tokens[at - 1]?.text);
  return tokens
    .filter(
      ({ kind }, at) => (kind === "string" || kind === "template") && !isError(at) && !isKey(at),
    )
    .filter((token) => !known.has(token))
    .map(textOf)
    .filter((text) => WORDS.test(text) && !NOT_SHOWN.some((pattern) => pattern.test(text)));
}

/** Every key of the catalogue with its English sentences: one, or the singular and the plural. */
function keysOf(source) {
  return callsOf(tokensOf(source))
    .filter(({ name }) => name !== "translate")
    .map(({ name, literals }) => {
      const [first, second] = literals.map(textOf);
      if (name === "ngettext") return [first, [first, second]];
      return name === "pgettext" ? [`${first}\u0004${second}`, [second]] : [first, [first]];
    });
}

test("sentences are translated as plain literals, because they are collected from the source", () => {
  for (const name of MODULES)
    for (const call of callsOf(tokensOf(sourceOf(name)))) {
      const what = `${name}: ${call.name}(${call.literals.map(({ text }) => text).join(", ")}…`;
      assert.equal(call.literals.length, LITERALS[call.name], what);
      for (const { kind } of call.literals) assert.equal(kind, "string", what);
      // A literal to which something is added is followed by another sign.
      const end = call.name === "ngettext" ? /,$/ : /[,)]$/;
      assert.match(call.signs.join(""), end, what);
      assert.match(call.signs.slice(0, -1).join(""), /^,?$/, what);
    }
});

test("a key has one meaning: it is not used with and without a plural", () => {
  const known = new Map();
  for (const [key, sentences] of MODULES.flatMap((name) => keysOf(sourceOf(name)))) {
    assert.deepEqual(sentences, known.get(key) ?? sentences, key);
    known.set(key, sentences);
  }
});

test("every sentence and label of the page is translated", () => {
  for (const name of MODULES) assert.deepEqual(untranslated(sourceOf(name)), [], name);
});

// An imported constant would otherwise be in every bundle that has another one of its module.
test("exported constants that are translated are marked as pure", () => {
  for (const name of MODULES)
    assert.doesNotMatch(sourceOf(name), /^export const \w+ =\s*[np]?gettext\(/m, name);
});

test("a sentence that is not translated is found, and so is a label", () => {
  const found = (source) => untranslated(source).length === 1;
  assert.ok(found('show("Try again.");'));
  assert.ok(found('button.textContent = isOn ? "Pause" : gettext("Resume");'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a source
  assert.ok(found("show(`${count} rooms are open`);"));
  assert.ok(found('const quotes = /"/g; show("Try again.");'));
  assert.ok(!found('show(gettext("Try again.")); // "Try again."'));
  assert.ok(!found('throw new Error("This cannot be.");'));
});

for (const name of existsSync(LANGUAGES) ? readdirSync(LANGUAGES) : []) {
  const language = name.replace(".js", "");
  const loading = import(new URL(name, LANGUAGES)).then(() => globalThis.multichatCatalogue);
  const keys = new Map(MODULES.flatMap((module) => keysOf(sourceOf(module))));

  test(`${language}: every sentence has a translation, and no translation is left over`, async () => {
    assert.deepEqual(Object.keys(await loading).sort(), [...keys.keys()].sort());
  });

  test(`${language}: translations have the placeholders of their sentences, and the plurals of the language`, async () => {
    const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
    for (const [key, found] of Object.entries(await loading)) {
      const [one = "", other] = keys.get(key) ?? [];
      assert.equal(typeof found, other === undefined ? "string" : "object", key);
      if (typeof found === "string") {
        assert.deepEqual(placeholdersOf(found), placeholdersOf(one), key);
        continue;
      }
      assert.ok(found.other, key);
      for (const [category, form] of Object.entries(found)) {
        assert.ok(pluralCategories.includes(category), `${key}, ${category}`);
        const expected = placeholdersOf(other);
        if (category === "one" && !form.includes("{count}")) expected.delete("{count}");
        assert.deepEqual(placeholdersOf(form), expected, `${key}, ${category}`);
      }
    }
  });
}
