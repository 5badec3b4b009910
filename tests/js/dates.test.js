import assert from "node:assert/strict";
import { test } from "node:test";
import { currentZone, Dates } from "../../static/chat/model/dates.js";

const dates = (timeZone, locale = "en-GB") => new Dates({ locale, timeZone });
const NOON = Date.parse("2026-11-21T12:00:00Z");

test("days are in the reader's zone", () => {
  const at = "2026-11-21T10:30:00.000Z";
  assert.equal(dates("UTC").day(at), "2026-11-21");
  assert.equal(dates("Pacific/Kiritimati").day(at), "2026-11-22");
  assert.equal(dates("Pacific/Pago_Pago").day("2026-11-21T10:30:00.000Z"), "2026-11-20");
});

test("a day is labelled Today, Yesterday, or with its date", () => {
  const { dayLabel } = { dayLabel: (at) => dates("UTC").dayLabel(at, NOON) };
  assert.equal(dayLabel("2026-11-21T00:00:00Z"), "Today");
  assert.equal(dayLabel("2026-11-20T23:59:59Z"), "Yesterday");
  assert.match(dayLabel("2026-11-19T23:59:59Z"), /^Thursday,? 19 November 2026$/);
});

test("days of 23 and 25 hours count as one day", () => {
  const berlin = dates("Europe/Berlin");
  assert.equal(
    berlin.dayLabel("2026-10-24T22:30:00Z", Date.parse("2026-10-26T00:00:00Z")),
    "Yesterday",
  );
  assert.equal(
    berlin.dayLabel("2026-03-28T22:59:00Z", Date.parse("2026-03-29T21:59:00Z")),
    "Yesterday",
  );
});

test("words and times are in the reader's language", () => {
  const german = dates("Europe/Berlin", "de");
  assert.equal(german.dayLabel("2026-11-20T12:00:00Z", NOON), "Gestern");
  assert.equal(german.time("2026-11-20T12:05:00Z"), "13:05");
});

test("a short time has only hour and minute", () => {
  const clock = (locale) => dates("UTC", locale).clock("2026-11-20T22:05:00Z");
  for (const locale of ["en-US", "es-CO", "ja-JP-u-hc-h12", "zh-TW", "hi-IN"])
    assert.match(clock(locale), /^10:05$/, locale);
  assert.equal(clock("fi"), "22.05");
  assert.equal(clock("bg"), "22:05");
});

const at = (text) => Date.parse(text);

test("Today becomes Yesterday at midnight in the reader's zone", () => {
  for (const [zone, midnight] of [
    ["Pacific/Pago_Pago", "2026-11-21T11:00:00Z"], // UTC−11
    ["Pacific/Kiritimati", "2026-11-21T10:00:00Z"], // UTC+14
    ["Asia/Kathmandu", "2026-11-20T18:15:00Z"], // UTC+5:45
  ]) {
    const here = dates(zone);
    const message = new Date(at(midnight) - 1).toISOString();
    assert.equal(here.dayLabel(message, at(midnight) - 1), "Today", zone);
    assert.equal(here.dayLabel(message, at(midnight)), "Yesterday", zone);
    assert.notEqual(here.day(message), here.day(midnight), zone);
    assert.equal(here.dayLabel(midnight, at(midnight)), "Today", zone);
  }
});

test("days begin as on the calendar, also when the clocks change and where midnight is skipped", () => {
  for (const [zone, last, first] of [
    ["Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z"],
    ["Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"], // after 23 hours
    ["Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"], // after 25 hours
    ["America/New_York", "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z"],
    ["Africa/Cairo", "2026-04-23T21:59:59Z", "2026-04-23T22:00:00Z"], // the clock goes from 23:59 to 1:00
  ]) {
    const here = dates(zone);
    assert.notEqual(here.day(last), here.day(first), `${zone} ${first}`);
    assert.equal(here.dayLabel(last, at(first)), "Yesterday");
    assert.equal(here.day(first), here.day(at(first) + 22 * 3_600_000));
  }
});

test("the calendar day does not depend on ICU's date formats", (t) => {
  // ICU 72 writes a short date in Canadian English as 11/21/26.
  t.mock.getter(Intl.DateTimeFormat.prototype, "format", () => () => "11/21/26");
  assert.equal(dates("UTC").day("2026-11-21T10:30:00.000Z"), "2026-11-21");
  assert.equal(dates("UTC", "ar-EG").day("2026-01-02T10:30:00.000Z"), "2026-01-02");
});

test("Dates knows its zone, so that a change of zone is noticed", () => {
  assert.equal(dates("Asia/Tokyo").zone, "Asia/Tokyo");
  assert.equal(new Dates().zone, currentZone());
});

test("a stamp is the same in every language", () => {
  const at = "2026-11-21T09:05:59Z";
  assert.equal(dates("UTC", "de-DE").stamp(at), "2026-11-21 09:05");
  assert.equal(dates("Asia/Kathmandu", "ar-EG").stamp(at), "2026-11-21 14:50");
});
