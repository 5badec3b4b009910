/** Times and days in the reader's zone and language. */

/** @typedef {{locale?: string, timeZone?: string}} Where */

export class Dates {
  #time;
  #day;
  #date;
  #full;
  #relative;

  /** @param {Where} [where] the reader's own, unless told */
  constructor({ locale, timeZone } = {}) {
    this.zone = timeZone ?? currentZone();
    this.#time = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", timeZone });
    this.#full = new Intl.DateTimeFormat(locale, {
      dateStyle: "full",
      timeStyle: "medium",
      timeZone,
    });
    this.#date = new Intl.DateTimeFormat(locale, {
      weekday: "long",
      day: "numeric",
      month: "long",
      year: "numeric",
      timeZone,
    });
    // Taken apart by `day`: how a language writes a day changes with the browser (ICU 72 made it 11/21/26 in en-CA).
    this.#day = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      timeZone,
    });
    this.#relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  }

  /** @param {string} at ISO 8601 */
  time(at) {
    return this.#time.format(new Date(at));
  }

  /** The time where there is little room: "9:18", whichever half of the day it is. @param {string} at ISO 8601 */
  clock(at) {
    const parts = this.#time.formatToParts(new Date(at));
    const [from = 0, to = 0] = ["hour", "minute"].map((kind) =>
      parts.findIndex(({ type }) => type === kind),
    );
    const kept = parts.slice(from, to + 1).map(({ value }) => value);
    return kept.join("");
  }

  /** @param {string} at ISO 8601 */
  full(at) {
    return this.#full.format(new Date(at));
  }

  /** The calendar day as `2026-11-21`. @param {string | number} at ISO 8601, or a time */
  day(at) {
    const parts = this.#day.formatToParts(new Date(at));
    return ["year", "month", "day"]
      .map((kind) => parts.find(({ type }) => type === kind)?.value)
      .join("-");
  }

  /**
   * "Today", "Yesterday" or the date. Days are counted on the calendar: one may have 23 or 25 hours.
   * @param {string} at ISO 8601
   * @param {number} now
   */
  dayLabel(at, now) {
    const daysAgo = (noon(this.day(now)) - noon(this.day(at))) / 86_400_000;
    if (daysAgo !== 0 && daysAgo !== 1) return this.#date.format(new Date(at));
    const word = this.#relative.format(-daysAgo, "day");
    return word.charAt(0).toLocaleUpperCase() + word.slice(1);
  }
}

/** Where the machine is now: a laptop travels while the page is open. */
export function currentZone() {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** @param {string} day */
function noon(day) {
  return Date.parse(`${day}T12:00:00Z`);
}
