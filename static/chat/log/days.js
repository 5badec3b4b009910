/** Day separators in a log, in the reader's time zone. */

import { copyElement, part } from "../dom/templates.js";
import { currentZone, Dates } from "../model/dates.js";

/** @import {Message} from "../model/room_log.js" */

export let dates = newDates();

/** In the machine's time zone, and with the clock that the user chose. */
export function newDates() {
  return new Dates({ clock: document.documentElement.dataset.clock ?? "" });
}

/** The user chose another clock. */
export function followClock() {
  dates = newDates();
}

/** Use the machine's current time zone. @returns {boolean} whether it changed */
export function followZone() {
  if (dates.zone === currentZone()) return false;
  dates = newDates();
  return true;
}

const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
const isShort = matchMedia("(max-height: 25em)");

/** How much of a log's view the sticky day covers at the top. Its height and position are in styles/log.css. */
export function coveredPx() {
  return isShort.matches ? 0 : 6 + Math.round(1.45 * 0.75 * rem);
}

/**
 * @param {Message} previous
 * @param {Message} message
 */
export function isSameDay(previous, message) {
  return dates.day(previous.at) === dates.day(message.at);
}

/** @param {string} at */
export function createSeparator(at) {
  const element = copyElement("day-template");
  element.dataset.at = at;
  showDay(element);
  return element;
}

/** Update a separator's label: at midnight "Today" becomes "Yesterday". @param {HTMLElement} element */
export function showDay(element) {
  part(element, "label").textContent = dates.dayLabel(element.dataset.at ?? "", Date.now());
}

/** The current calendar day. */
export function today() {
  return dates.day(Date.now());
}
