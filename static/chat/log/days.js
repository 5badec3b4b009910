/** Day separators in a log, in the reader's zone. */

import { copyElement, part } from "../dom/templates.js";
import { currentZone, Dates } from "../model/dates.js";

/** @import {Message} from "../model/room_log.js" */

export let dates = new Dates();

/** Go by the machine's zone of now. @returns {boolean} whether it is another one */
export function followZone() {
  if (dates.zone === currentZone()) return false;
  dates = new Dates();
  return true;
}

const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
const isShort = matchMedia("(max-height: 25em)");

/** So much of a log's view is covered at its top by the day: its height and place are in chat.css. */
export function coveredPx() {
  return isShort.matches ? 0 : 12 + Math.round(1.45 * 0.78125 * rem);
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

/** Say the day of a separator anew: at midnight "Today" becomes "Yesterday". @param {HTMLElement} element */
export function showDay(element) {
  part(element, "label").textContent = dates.dayLabel(element.dataset.at ?? "", Date.now());
}

/** The calendar day it is now. */
export function today() {
  return dates.day(Date.now());
}
