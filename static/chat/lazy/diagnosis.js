/** Says why the connection fails. Loaded once the page is connected, because it may be impossible later. */

import { causeWords, diagnose } from "../model/diagnosis.js";

/** The server has this long to answer. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * @param {string} address where the server says what it makes of a handshake
 * @returns {Promise<{isSocket: boolean, sentence: string}>} `isSocket`: the server answers, and yet no socket was opened
 */
export async function explain(address) {
  const diagnosis = await diagnose((areCookiesSent) =>
    fetch(address, {
      cache: "no-store",
      credentials: areCookiesSent ? "same-origin" : "omit",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }),
  );
  return { isSocket: diagnosis.cause === "socket", sentence: causeWords(diagnosis) };
}
