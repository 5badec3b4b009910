/** Day separators in a log, in the reader's zone. */

import { Dates } from "./dates.js";
import { copyElement, part } from "./templates.js";

/** @import {Message} from "./room_log.js" */

export const dates = new Dates();

/** So much of a log's view is covered at its top by the day: its height and place are in chat.css. */
export const COVERED_PX = 30;

/**
 * @param {Message} previous
 * @param {Message} message
 */
export function isSameDay(previous, message) {
  return dates.day(previous.at) === dates.day(message.at);
}

/** @param {string} at */
export function separator(at) {
  const element = copyElement("day-template");
  element.dataset.at = at;
  relabel(element);
  return element;
}

/** Say the day of a separator anew: at midnight "Today" becomes "Yesterday". @param {HTMLElement} element */
export function relabel(element) {
  part(element, "label").textContent = dates.dayLabel(element.dataset.at ?? "", Date.now());
}

/** The calendar day it is now. */
export function today() {
  return dates.day(Date.now());
}
