/** Copies of the page's <template>s and the parts to fill in. */

/**
 * Copy a template. Texts are set with textContent only: nothing is made from strings.
 * @param {string} id
 */
export function copy(id) {
  const template = document.getElementById(id);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`no template #${id}`);
  return document.importNode(template.content, true); // unlike cloneNode, it upgrades our elements at once
}

/**
 * Copy a template that has one element.
 * @param {string} id
 */
export function copyElement(id) {
  return /** @type {HTMLElement} */ (copy(id).firstElementChild);
}

/**
 * Find what a template calls `data-part="name"`.
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
 * Give an element the hue of a name or id: neighbours far apart, the same on every page.
 * @param {HTMLElement} element
 * @param {string} of
 */
export function setHue(element, of) {
  const number = /^\d+$/.test(of) ? Number(of) : hash(of);
  // The golden angle: whatever the next number is, its hue is far from the last ones.
  element.style.setProperty("--h", String(Math.round(number * 137.508 + 120) % 360));
}

/**
 * Make an element the avatar of a user: two letters on a hue; of the system, a sign.
 * @param {HTMLElement} element
 * @param {string} username
 */
export function setAvatar(element, username) {
  element.textContent = [...username].slice(0, 2).join("").toLocaleUpperCase() || "✦";
  element.classList.toggle("system", username === "");
  setHue(element, username);
}

/** FNV-1a, so that names that differ by a letter do not look alike. @param {string} text */
function hash(text) {
  let sum = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) sum = Math.imul(sum ^ byte, 0x01000193);
  return (sum >>> 0) % 9973;
}
