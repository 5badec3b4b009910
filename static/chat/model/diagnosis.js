/** Finds out why the connection fails, because a browser does not tell a page why its WebSocket was refused. */

import { gettext } from "./language.js";

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

/** What is wrong with the connection, and what to do. @param {Diagnosis} diagnosis */
export function causeWords({ cause, status = 0, host = "" }) {
  const { origin, hostname } = location;
  switch (cause) {
    case "silent":
      return gettext("The server doesn't answer.");
    case "gateway":
      return gettext("The server is down; its proxy answers with error {status}.", { status });
    case "cookies":
      return gettext(
        "Your browser's cookies for this site are too large for the server. Delete them and log in again.",
      );
    case "host":
      return gettext(
        "The proxy tells the server the name “{host}”. An administrator has to make it pass on the Host header, or add {origin} to CSRF_TRUSTED_ORIGINS.",
        { host, origin },
      );
    case "name":
      return gettext(
        "The server doesn't accept the name {hostname}. An administrator has to add it to ALLOWED_HOSTS.",
        { hostname },
      );
    case "scheme":
      return gettext("The server doesn't expect https here. An administrator has to set HTTPS=on.");
    case "origin":
      return gettext(
        "The server refuses pages of {origin}. An administrator has to add it to CSRF_TRUSTED_ORIGINS.",
        { origin },
      );
    default:
      return gettext(
        "The server answers, but its WebSocket doesn't open. An administrator has to make the proxy pass on upgrades of /chat/stream/.",
      );
  }
}
