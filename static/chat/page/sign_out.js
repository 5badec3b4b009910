/** Signing out: asked first while texts wait, and nothing is forgotten before the server has done it. */

import { keptWords } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */

const KEY = "sign-out";

/**
 * @param {HTMLFormElement} form
 * @param {{unsent: () => number, forget: () => void, uncover: () => void, notices: Notices}} page `forget` everything that was written, `uncover` the notices
 */
export function guardSignOut(form, { unsent, forget, uncover, notices }) {
  const signOut = async () => {
    notices.remove(KEY);
    const answer = await post(form);
    if (typeof answer !== "string") {
      forget();
      return location.assign(answer.url);
    }
    uncover();
    notices.show(answer, { key: KEY });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const count = unsent();
    if (count === 0) return void signOut();
    const choices = [{ label: "Log out and discard", act: () => void signOut() }];
    uncover();
    notices.remove(KEY);
    notices.ask(keptWords(count), { key: KEY, choices, dismiss: "Stay" });
  });
}

/**
 * @param {HTMLFormElement} form
 * @returns {Promise<Response | string>} a sentence if the user is still logged in
 */
async function post(form) {
  try {
    const body = new FormData(form);
    // The form's own token is too old when the user has signed in again since, in another tab.
    const token = /(?:^|; )(?:__Host-)?csrftoken=(\w+)/.exec(document.cookie)?.[1];
    if (token) body.set("csrfmiddlewaretoken", token);
    const answer = await fetch(form.action, { method: "POST", body });
    // It answers with the way to the next page; anything else is a refusal.
    if (answer.ok && answer.redirected) return answer;
    return "You are still logged in: the server refused. Reload the page, then try again.";
  } catch {
    return "You are still logged in: the server does not answer.";
  }
}
