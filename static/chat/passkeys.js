/** Makes and uses passkeys on the pages of the account: the browser's answer goes into a hidden field of the form. */

import { gettext } from "./model/language.js";

const form = document.querySelector("form[data-passkey]");
if (form instanceof HTMLFormElement) {
  form.addEventListener("submit", (event) => {
    const answer = form.elements.namedItem("credential");
    if (!(answer instanceof HTMLInputElement) || answer.value) return;
    event.preventDefault();
    if (form.reportValidity()) askBrowser(form, answer);
  });
}

/** @param {HTMLFormElement} form @param {HTMLInputElement} answer */
async function askBrowser(form, answer) {
  try {
    answer.value = JSON.stringify(await credential(form.dataset.passkey === "make"));
  } catch {
    // The user cancelled, the browser knows no passkey of this site, or it has none at all.
    const trouble = form.querySelector("p.trouble[hidden], p.trouble:last-of-type");
    if (trouble instanceof HTMLElement) {
      trouble.hidden = false;
      trouble.textContent = gettext(
        "Your browser didn't use a passkey. Try again, or use another way.",
      );
    }
    return;
  }
  form.submit();
}

/** @param {boolean} isNew */
async function credential(isNew) {
  const { publicKey } = await options();
  for (const listed of [
    ...(publicKey.excludeCredentials ?? []),
    ...(publicKey.allowCredentials ?? []),
  ]) {
    listed.id = bytes(listed.id);
  }
  publicKey.challenge = bytes(publicKey.challenge);
  if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
  const made = isNew
    ? await navigator.credentials.create({ publicKey })
    : await navigator.credentials.get({ publicKey });
  return asJson(/** @type {PublicKeyCredential} */ (made));
}

/** What the server wants to know: in the page, or by a request where the page is shown to every visitor. */
async function options() {
  const stored = document.getElementById("passkey-options");
  if (stored) return JSON.parse(stored.textContent ?? "");
  const answer = await fetch("/accounts/passkey/", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

/** @param {PublicKeyCredential} made */
function asJson(made) {
  /** @type {Record<string, string>} */
  const response = {};
  for (const name of [
    "clientDataJSON",
    "attestationObject",
    "authenticatorData",
    "signature",
    "userHandle",
  ]) {
    const value = /** @type {any} */ (made.response)[name];
    if (value) response[name] = text(value);
  }
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response,
    clientExtensionResults: made.getClientExtensionResults(),
  };
}

/** @param {string} encoded base64url */
function bytes(encoded) {
  const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** @param {ArrayBuffer} buffer */
function text(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
