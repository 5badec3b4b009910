/** What notifications say, and until when they can be paused. */

import { Dates } from "./dates.js";
import { gettext, LOCALE } from "./language.js";

const MINUTE_MS = 60_000;
/** For how long notifications can be paused, at least. */
const PAUSES_MINUTES = [30, 60, 120, 240];
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

/** A time of the next day, or of a later one with its weekday. @param {number} at milliseconds @param {string} [clock] "12" or "24" hours; by default as usual in the language */
export function clockOf(at, clock = "") {
  const date = new Date(at);
  const time = new Dates({ clock }).time(date.toISOString());
  if (at - Date.now() < 24 * 60 * MINUTE_MS) return time;
  return `${date.toLocaleDateString(LOCALE, { weekday: "short" })} ${time}`;
}

/** The times until when notifications can be paused: some half hours of the clock, such as 14:00, and tomorrow morning. @param {Date} now @param {string} [clock] as for `clockOf` */
export function pauses(now, clock) {
  const tomorrow = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, 8);
  const soon = PAUSES_MINUTES.map((minutes) => halfHourFrom(now.getTime() + minutes * MINUTE_MS));
  return [
    ...soon.map((until) => ({
      label: gettext("Pause until {time}", { time: clockOf(until, clock) }),
      until,
    })),
    { label: gettext("Pause until tomorrow"), until: tomorrow.getTime() },
  ];
}

/** The half hour of the clock at a time, or the next one. @param {number} at milliseconds */
function halfHourFrom(at) {
  const date = new Date(at);
  return date.setMinutes(Math.ceil(date.getMinutes() / 30) * 30, 0, 0);
}
