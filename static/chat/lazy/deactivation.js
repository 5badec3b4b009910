/** Deactivates a user, after a question. Loaded when staff first ask for it. */

import { ask } from "../dom/ask.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";

/** Ask the user once. @typedef {(question: string, what: {text: string, label: string, confirmed: () => void}) => void} Confirm */

/**
 * The user's pages close by themselves.
 * @param {string} username
 * @param {Confirm} askUser
 * @param {(sentence: string) => void} onfailed
 */
export function confirmDeactivation(username, askUser, onfailed) {
  const shown = shownNames.of(username);
  const name = shown === username ? shown : `${shown} (${username})`;
  askUser(gettext("Deactivate {name}?", { name }), {
    text: gettext("They are signed out at once and can't sign in again. Their messages stay."),
    label: gettext("Deactivate"),
    confirmed: async () => {
      const answer = await ask("/people/deactivate/", { username });
      if (typeof answer === "string") onfailed(answer);
    },
  });
}
