/** Finds addresses in a text, decides which may become links, and shortens them for display. */

/** How much of a message is parsed: what is left of it. Each sign takes one. @typedef {{left: number}} Budget */
/** A link's place in a text, and its address. @typedef {{start: number, end: number, address: string}} Found */

/** Not in an address: spaces, quotes, brackets of other scripts, and characters that cannot be seen. */
const STOP =
  '\\s<>"`|\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff、。，！？；：「」『』（）【】《》';
const WEB = `(?<![a-z0-9])(?:https?://|www\\.|mailto:)[^${STOP}]+`;
// It begins where a word begins, so that each character is looked at once.
const MAIL = "(?<![\\w.+@-])[a-z0-9][\\w.+-]{0,63}@[a-z0-9-]+(?:\\.[a-z0-9-]+)*\\.[a-z]{2,}";
const LINK = new RegExp(`${WEB}|${MAIL}`, "gi");
const MAY_HAVE = /:\/\/|www\.|mailto:|@/i;
const PAIRS = /** @type {Record<string, string>} */ ({ ")": "(", "]": "[", "}": "{" });
/** What an address takes of a budget: as long as so many signs take to read. */
const COST = 5;
const MAX_LENGTH = 2_000;
/** An address of more characters is shortened; from its end so many are kept, and at least so many at its start. */
const MAX_SHOWN = 60;
const TAIL = 16;
const HEAD = 36;

/** Find the addresses in a text. @param {string} text @param {Budget} budget @returns {Found[]} */
export function findLinks(text, budget) {
  if (!MAY_HAVE.test(text)) return [];
  const found = [];
  for (const match of text.matchAll(LINK)) {
    budget.left -= COST;
    if (budget.left < 0) break;
    const typed = match[0].length > MAX_LENGTH ? "" : withoutTail(match[0]);
    const address = addressOf(typed);
    if (address === null) continue;
    found.push({ start: match.index, end: match.index + typed.length, address });
  }
  return found;
}

/**
 * The address of a link, or null if it may not become one: only http, https and mailto are followed. An address with a
 * user before its host is none, because it reads like another host: https://bank.example@evil.example.
 * @param {string} typed
 */
export function addressOf(typed) {
  const isMail = /^(?!www\.)[^/:]+@/i.test(typed);
  const address = /^www\./i.test(typed) ? `https://${typed}` : isMail ? `mailto:${typed}` : typed;
  if (!/^(?:https?:\/\/|mailto:)/i.test(address) || !URL.canParse(address)) return null;
  const { protocol, username, password, host, pathname } = new URL(address);
  if (protocol === "mailto:") return pathname.includes("@") ? address : null;
  return host && !username && !password ? address : null;
}

/** The host of an address, or of a mail address what follows the @. @param {string} address */
export function hostOf(address) {
  const { host, pathname } = new URL(address);
  return host || pathname.slice(pathname.lastIndexOf("@") + 1);
}

/** Shorten an address in its middle. Its host stays. @param {string} typed */
export function shorten(typed) {
  if (typed.length <= MAX_SHOWN) return typed;
  const host = /^(?:[a-z]+:\/*)?[^/?#]*/i.exec(typed)?.[0].length ?? 0;
  const head = Math.max(HEAD, host + 1);
  if (head + TAIL >= typed.length) return typed;
  return `${whole(typed.slice(0, head))}…${whole(typed.slice(-TAIL))}`;
}

/** Without half of a character at either end. @param {string} text */
function whole(text) {
  return text.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "");
}

/** Leave out what ends the sentence and not the address: a full stop, and a bracket that is not opened in it. @param {string} typed */
function withoutTail(typed) {
  /** @type {Record<string, number>} */
  const count = {};
  for (const sign of typed.match(/[()[\]{}]/g) ?? []) count[sign] = (count[sign] ?? 0) + 1;
  let end = typed.length;
  for (; end > 0; end -= 1) {
    const sign = typed.charAt(end - 1);
    const opening = PAIRS[sign];
    const isOpen = opening !== undefined && (count[opening] ?? 0) >= (count[sign] ?? 0);
    if (isOpen || (opening === undefined && !/[.,:;!?'*~_…\\]/.test(sign))) break;
    if (opening !== undefined) count[sign] = (count[sign] ?? 0) - 1;
  }
  return typed.slice(0, end);
}
