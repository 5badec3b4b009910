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

/**
 * Give an element the hue of a name or id: the same on every page, and far from the hues of neighbouring ids.
 * @param {HTMLElement} element
 * @param {string} name
 */
export function setHue(element, name) {
  const number = /^\d+$/.test(name) ? Number(name) : hash(name);
  // By the golden angle, the hue of each next number is far from the last ones.
  element.style.setProperty("--h", String(Math.round(number * 137.508 + 120) % 360));
}

/**
 * Make an element the avatar of a user, two letters on a hue, or of the system, a sign.
 * @param {HTMLElement} element
 * @param {string} username
 */
export function setAvatar(element, username) {
  element.textContent = [...username].slice(0, 2).join("").toLocaleUpperCase() || "✦";
  element.classList.toggle("system", username === "");
  setHue(element, username);
}

/** Set a text if it changed: a status or alert that is set again is read out again. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** FNV-1a, so that names that differ by a letter get different hues. @param {string} text */
function hash(text) {
  let sum = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) sum = Math.imul(sum ^ byte, 0x01000193);
  return (sum >>> 0) % 9973;
}
