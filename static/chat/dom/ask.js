/** Asks the server over HTTP, in JSON. Open pages learn of every change by their socket. */

import { gettext } from "../model/language.js";

const AWAY = gettext("The server isn't responding. Try again in a moment.");
const REFUSED = gettext("The server refused. Reload the page and try again.");

/**
 * Returns a sentence instead if the server refuses or is away.
 * @template {object} T
 * @param {string} path
 * @param {object} [body] with it, the request is a POST
 * @param {boolean} [isLast] the page is being closed, and the request goes on without it
 * @returns {Promise<T | string>}
 */
export async function ask(path, body, isLast = false) {
  try {
    const answer = await fetch(path, body === undefined ? {} : post(body, isLast));
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json") ?? false;
    if (!isJson) return REFUSED;
    const content = await answer.json();
    return answer.ok ? content : content.detail || REFUSED;
  } catch {
    return AWAY;
  }
}

/** @param {object} body @param {boolean} keepalive @returns {RequestInit} */
function post(body, keepalive) {
  const headers = { "Content-Type": "application/json", ...ownHeaders() };
  return { method: "POST", headers, keepalive, body: JSON.stringify(body) };
}

/** What a change needs: the server refuses it if another user has signed in since in this browser. */
export function ownHeaders() {
  /** @type {HTMLElement | null} */
  const page = document.querySelector("[data-signed-in]");
  return { "X-CSRFToken": csrfToken(), "X-Multichat-User": page?.dataset.signedIn ?? "" };
}

/** What proves to the server that a request comes from this page. */
function csrfToken() {
  // The cookie is newer than the form in the page if the user has signed in again in another tab.
  const cookie = /(?:^|; )(?:__Host-)?csrftoken=(\w+)/.exec(document.cookie)?.[1];
  /** @type {HTMLInputElement | null} */
  const field = document.querySelector("input[name=csrfmiddlewaretoken]");
  return cookie ?? field?.value ?? "";
}
