/**
 * The language of the page. A page in another language than English loads a catalogue before all modules
 * (static/chat/languages/, made by script/languages).
 *
 * An exported constant marks its call as `@__PURE__`. Otherwise each bundle would keep it, used or not, because esbuild
 * assumes that a call into another module has an effect.
 */

/** A translation by its English sentence; where it has a number, one for each plural category of `Intl`. @typedef {Record<string, any>} Catalogue */
/** What is filled in for the names in braces. @typedef {Record<string, string | number>} Values */

const { multichatCatalogue = {}, document = undefined } =
  /** @type {{multichatCatalogue?: Catalogue, document?: Document}} */ (globalThis);
const language = document?.documentElement.lang || "en";

/** @param {string} locale */
const isOfPage = (locale) => locale.split("-")[0] === language;
/**
 * For `Intl`: the page's language, in the variety that the browser asks for, such as en-GB; undefined when the browser
 * itself speaks it.
 */
export const LOCALE = isOfPage(new Intl.NumberFormat().resolvedOptions().locale)
  ? undefined
  : (globalThis.navigator?.languages?.find(isOfPage) ?? language);
const plurals = new Intl.PluralRules(language);

/**
 * Translate a sentence.
 * @param {string} text in English, as the key of the catalogue
 * @param {Values} [values] for the names in braces
 */
export function gettext(text, values) {
  return fill(multichatCatalogue[text] ?? text, values);
}

/**
 * Translate a sentence that has two meanings in English.
 * @param {string} context which of them, for translators
 * @param {string} text
 * @param {Values} [values]
 */
export function pgettext(context, text, values) {
  return fill(multichatCatalogue[`${context}\u0004${text}`] ?? text, values);
}

/**
 * Translate a sentence about a number of things.
 * @param {string} one in English, for 1; also the key of the catalogue
 * @param {string} other in English, for other numbers
 * @param {number} count also the value for `{count}`
 * @param {Values} [values]
 */
export function ngettext(one, other, count, values) {
  const forms = multichatCatalogue[one] ?? { one, other };
  return fill(forms[plurals.select(count)] ?? forms.other, { count, ...values });
}

/** @param {string} text @param {Values} [values] */
function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (braced, name) => isolate(values[name] ?? braced));
}

/** Bidirectional control characters, and ranges of letters from right to left. */
const TURNS =
  /[\p{Bidi_C}\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * Put a value that can turn what stands beside it into an isolate of its own. The isolates that it begins are closed,
 * and it closes no other one.
 * @param {string | number} value
 */
export function isolate(value) {
  const text = `${value}`;
  if (!TURNS.test(text)) return text;
  let depth = 1;
  const closed = text.replace(/[\u2066-\u2069]/g, (sign) =>
    (sign < "\u2069" ? ++depth : depth > 1 && --depth) ? sign : "",
  );
  return `\u2068${closed}${"\u2069".repeat(depth)}`;
}
