/** Signs out: asks first while messages are unsent, and clears nothing before the server has signed the user out. */

import { gettext } from "../model/language.js";
import { keptWords } from "../model/strings.js";

/** @import {Notices} from "../dom/notices.js" */

const KEY = "sign-out";

/**
 * @param {HTMLFormElement} form
 * @param {{countUnsent: () => number, clearStorage: () => void, showNotices: () => void, notices: Notices}} page `showNotices`: the room list covers them on a phone
 */
export function guardSignOut(form, { countUnsent, clearStorage, showNotices, notices }) {
  const signOut = async () => {
    notices.remove(KEY);
    const answer = await post(form);
    if (typeof answer !== "string") {
      clearStorage();
      return location.assign(answer.url);
    }
    showNotices();
    notices.show(answer, { key: KEY });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const count = countUnsent();
    if (count === 0) return void signOut();
    const choices = [{ label: gettext("Log out and discard"), act: () => void signOut() }];
    showNotices();
    notices.remove(KEY);
    notices.ask(keptWords(count), { key: KEY, choices, dismiss: gettext("Stay") });
  });
}

/**
 * @param {HTMLFormElement} form
 * @returns {Promise<Response | string>} a sentence if the user is still logged in
 */
async function post(form) {
  try {
    const body = new FormData(form);
    // The form's own token is outdated if the user has signed in again in another tab.
    const token = /(?:^|; )(?:__Host-)?csrftoken=(\w+)/.exec(document.cookie)?.[1];
    if (token) body.set("csrfmiddlewaretoken", token);
    const answer = await fetch(form.action, { method: "POST", body });
    // Success redirects to the next page; anything else is a refusal.
    if (answer.ok && answer.redirected) return answer;
    return gettext(
      "You're still logged in because the server refused. Reload the page and try again.",
    );
  } catch {
    return gettext(
      "You're still logged in because the server isn't responding. Try again in a moment.",
    );
  }
}
