/** Copies the page's <template>s, and finds and fills their parts. */

/**
 * Copy a template. Text is set with textContent only; no markup is made from strings.
 * @param {string} id
 */
export function copy(id) {
  const template = document.getElementById(id);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`no template #${id}`);
  return document.importNode(template.content, true); // unlike cloneNode, it upgrades custom elements at once
}

/**
 * Copy a template that has one element.
 * @param {string} id
 */
export function copyElement(id) {
  return /** @type {HTMLElement} */ (copy(id).firstElementChild);
}

/**
 * Find the element that a template marks with `data-part="name"`.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name
 */
export function part(root, name) {
  const found = root.querySelector(`[data-part="${name}"]`);
  if (found === null) throw new Error(`no part ${name}`);
  return /** @type {T} */ (found);
}

/** Hues that look equally different from each other (CIEDE2000). Red is missing, because only alerts are red. */
export const HUES = [48, 73, 100, 125, 154, 184, 209, 239, 270, 303, 341];
/** Neighbouring numbers get hues that are this far apart in the list. It has no divisor in common with its length. */
const STEP = 4;

/**
 * Give an element the hue of a name or id: the same on every page, and far from the hues of neighbouring ids.
 * @param {HTMLElement} element
 * @param {string} name
 */
export function setHue(element, name) {
  const number = /^\d+$/.test(name) ? Number(name) : hash(name);
  element.style.setProperty("--h", String(hueOf(number)));
}

/**
 * Make an element the avatar of a user, their picture or two letters on a hue, or of the system, a sign.
 * @param {HTMLElement} element
 * @param {string} username
 * @param {string} [shown] the name by which the user is shown
 * @param {string} [picture] its address
 */
export function setAvatar(element, username, shown = username, picture = "") {
  element.style.backgroundImage = picture && `url(${picture})`;
  setText(element, picture ? "" : initials(shown) || "✦");
  element.classList.toggle("system", username === "");
  setHue(element, username);
}

/** Kept at the element, because what is loaded later is bundled with a copy of this module. @typedef {Element & {fillNames?: () => void}} Named */

/**
 * Fill an element with a user's name, now and whenever names have changed.
 * @param {Element} element
 * @param {() => void} fill
 */
export function showName(element, fill) {
  element.setAttribute("data-names", "");
  /** @type {Named} */ (element).fillNames = fill;
  fill();
}

/** Names have changed. @param {ParentNode} root */
export function updateNames(root) {
  /** @type {NodeListOf<Named>} */
  const elements = root.querySelectorAll("[data-names]");
  for (const element of elements) element.fillNames?.();
}

/** The first letters of the first and the last word, or of the only one. @param {string} name */
function initials(name) {
  const [first = "", ...others] = name.trim().split(/\s+/);
  const last = others.at(-1);
  const letters = last ? [[...first][0], [...last][0]] : [...name].slice(0, 2);
  return letters.join("").toLocaleUpperCase();
}

/** Set a text if it changed: a status or alert that is set again is read out again. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a text that may end in an ellipsis: the mouse shows the whole. @param {HTMLElement} element @param {string} text */
export function setLine(element, text) {
  setText(element, text);
  element.title = text;
}

/** @param {number} number */
export function hueOf(number) {
  return HUES[((number % HUES.length) * STEP) % HUES.length];
}

/** FNV-1a, so that names that differ by a letter get different hues. @param {string} text */
function hash(text) {
  let sum = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) sum = Math.imul(sum ^ byte, 0x01000193);
  return (sum >>> 0) % 9973;
}
