/** Formats times and days in the reader's zone and language. */

import { LOCALE } from "./language.js";

/** `clock`: "12" or "24" hours; by default as usual in the language. @typedef {{locale?: string, timeZone?: string, clock?: string}} Where */

export class Dates {
  #time;
  #day;
  #date;
  #full;
  #minute;
  #relative;

  /** @param {Where} [where] the reader's zone and the page's language by default */
  constructor({ locale = LOCALE, timeZone, clock } = {}) {
    this.zone = timeZone ?? currentZone();
    const cycle = clock
      ? { hourCycle: clock === "12" ? /** @type {const} */ ("h12") : /** @type {const} */ ("h23") }
      : {};
    this.#time = new Intl.DateTimeFormat(locale, {
      ...{ hour: "numeric", minute: "2-digit", timeZone },
      ...cycle,
    });
    this.#full = new Intl.DateTimeFormat(locale, {
      dateStyle: "full",
      timeStyle: "medium",
      timeZone,
      ...cycle,
    });
    this.#date = new Intl.DateTimeFormat(locale, {
      weekday: "long",
      day: "numeric",
      month: "long",
      year: "numeric",
      timeZone,
    });
    // `day` uses its parts, because the format of a language changes with the browser (ICU 72 made it 11/21/26 in en-CA).
    this.#day = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      timeZone,
    });
    this.#minute = new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit",
      minute: "2-digit",
      timeZone,
    });
    this.#relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  }

  /** @param {string} at ISO 8601 */
  time(at) {
    return this.#time.format(new Date(at));
  }

  /** A short time: "9:18", without am or pm. @param {string} at ISO 8601 */
  clock(at) {
    const parts = this.#time.formatToParts(new Date(at));
    const [from = 0, to = 0] = ["hour", "minute"].map((kind) =>
      parts.findIndex(({ type }) => type === kind),
    );
    const values = parts.slice(from, to + 1).map(({ value }) => value);
    return values.join("");
  }

  /** @param {string} at ISO 8601 */
  full(at) {
    return this.#full.format(new Date(at));
  }

  /** "2026-11-21 09:18", the same in every language. @param {string} at ISO 8601 */
  stamp(at) {
    return `${this.day(at)} ${this.#minute.format(new Date(at))}`;
  }

  /** The calendar day as `2026-11-21`. @param {string | number} at ISO 8601, or a timestamp in milliseconds */
  day(at) {
    const parts = this.#day.formatToParts(new Date(at));
    return ["year", "month", "day"]
      .map((kind) => parts.find(({ type }) => type === kind)?.value)
      .join("-");
  }

  /**
   * "Today", "Yesterday" or the date. Calendar days are counted, because a day may have 23 or 25 hours.
   * @param {string} at ISO 8601
   * @param {number} now
   */
  dayLabel(at, now) {
    const daysAgo = (noon(this.day(now)) - noon(this.day(at))) / 86_400_000;
    if (daysAgo !== 0 && daysAgo !== 1) return this.#date.format(new Date(at));
    const word = this.#relative.format(-daysAgo, "day");
    return word.charAt(0).toLocaleUpperCase(LOCALE) + word.slice(1);
  }
}

/** The machine's current time zone: a laptop may travel while the page is open. */
export function currentZone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** @param {string} day */
function noon(day) {
  return Date.parse(`${day}T12:00:00Z`);
}
