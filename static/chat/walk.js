/** The keys in a log, which is one stop of Tab: arrows go from message to message, Enter opens a message's menu. */

import { part } from "./templates.js";

/** @import {Message} from "./room_log.js" */
/** @import {Rows} from "./rows.js" */

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} log
 * @param {Rows} rows what stands in it
 */
export function walk(event, log, rows) {
  const { key, target, altKey } = event;
  const element = target instanceof HTMLElement && target.matches(".message") ? target : null;
  const now = rows.messageAt(element);
  if (altKey || (target !== log && element === null)) return;
  if (key === "Enter" && element && now) openMenu(element);
  else if (key === "ArrowUp" || key === "ArrowDown") step(rows, now, key === "ArrowUp" ? -1 : 1);
  else if (key === "Escape" && now) log.focus();
  else return;
  event.preventDefault();
}

/** A deleted message has none. @param {HTMLElement} element */
function openMenu(element) {
  const button = part(element, "act");
  if (!button.hidden) button.click();
}

/** @param {Rows} rows @param {Message | undefined} from @param {number} by */
function step(rows, from, by) {
  const { seqs } = rows;
  const at = from ? seqs.indexOf(from.seq) + by : seqs.length - 1;
  const element = rows.elementOf(seqs[at]);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
}
