/** Says why the connection fails. Loaded once the page is connected, because it may be impossible later. */

import { causeWords, diagnose } from "../model/diagnosis.js";

/** @import {Answer} from "../model/diagnosis.js" */

/**
 * @param {(areCookiesSent: boolean) => Promise<Answer>} fetchCheck
 * @returns {Promise<{isSocket: boolean, sentence: string}>} `isSocket`: the server answers, and yet no socket was opened
 */
export async function explain(fetchCheck) {
  const diagnosis = await diagnose(fetchCheck);
  return { isSocket: diagnosis.cause === "socket", sentence: causeWords(diagnosis) };
}
