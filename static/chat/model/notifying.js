/** What notifications say, and until when they can be paused. */

import { gettext, LOCALE } from "./language.js";

const MINUTE_MS = 60_000;
/** Long enough for two lines of a notification. */
const MOST = 200;
/** Characters that turn the direction of the text around them. Others cannot leave their isolate. */
const TURNS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;

/** One line of plain text that cannot change the direction of what stands around it. @param {string} text */
export function tidy(text) {
  const line = text.replace(TURNS, "").replace(/\s+/g, " ").trim();
  const start = [...line.slice(0, 2 * MOST)].slice(0, MOST).join("");
  return `\u2068${start}${start.length < line.length ? "…" : ""}\u2069`;
}

/** @param {number} at milliseconds */
export function clockOf(at) {
  const date = new Date(at);
  const isSoon = at - Date.now() < 24 * 60 * MINUTE_MS;
  const options = /** @type {const} */ ({ hour: "numeric", minute: "2-digit" });
  return date.toLocaleString(LOCALE, isSoon ? options : { weekday: "short", ...options });
}

/** The times until when notifications can be paused: half an hour, an hour, and tomorrow morning. @param {Date} now */
export function pauses(now) {
  const tomorrow = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, 8);
  const soon = [30, 60].map((minutes) => now.getTime() + minutes * MINUTE_MS);
  return [
    ...soon.map((until) => ({
      label: gettext("Pause until {time}", { time: clockOf(until) }),
      until,
    })),
    { label: gettext("Pause until tomorrow"), until: tomorrow.getTime() },
  ];
}
