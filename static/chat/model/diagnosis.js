/** Finds out why the connection fails, because a browser does not tell a page why its WebSocket was refused. */

/**
 * `silent`: nothing answers; `gateway`: a proxy says that the server does not; `cookies`: the cookies are too large;
 * `host`, `name`, `scheme`, `origin`: which check refuses the page (multichat/handshake.py); `socket`: none does.
 * @typedef {"silent" | "gateway" | "cookies" | "host" | "name" | "scheme" | "origin" | "socket"} Cause
 */
/** `host`: the name that the server was asked by. @typedef {{cause: Cause, status?: number, host?: string}} Diagnosis */
/** The part of a response that is read. @typedef {{status: number, json: () => Promise<{refused: Cause | null, host: string}>}} Answer */

/** What servers answer to a request with too large a header (nginx: 400 or 494). */
const TOO_LARGE = [400, 413, 431, 494];

/**
 * @param {(areCookiesSent: boolean) => Promise<Answer>} fetchCheck
 * @returns {Promise<Diagnosis>}
 */
export async function diagnose(fetchCheck) {
  try {
    const answer = await fetchCheck(true);
    const { status } = answer;
    if (status === 200) {
      const { refused, host } = await answer.json();
      return { cause: refused ?? "socket", host };
    }
    const mayBeCookies = TOO_LARGE.includes(status);
    if (mayBeCookies && (await fetchCheck(false)).status === 200) return { cause: "cookies" };
    return status >= 500 ? { cause: "gateway", status } : { cause: "socket" };
  } catch {
    return { cause: "silent" };
  }
}
