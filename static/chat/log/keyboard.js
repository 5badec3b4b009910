/** Handles keys in a log, which is a single Tab stop: arrows move between messages, Enter opens a message's menu. */

import { part } from "../dom/templates.js";

/** @import {Rows} from "./rows.js" */

/** What a message may contain to be focused. */
const CONTROLS =
  '.quote, .reply-to, .text a, .text [data-part="copy-code"], .files a, .reaction, .bar button';

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} log
 * @param {Rows} rows its messages
 * @param {() => number | undefined} start the message at which the arrows begin
 */
export function handleKey(event, log, rows, start) {
  const { key, target, altKey } = event;
  const element = target instanceof HTMLElement && target.matches(".message") ? target : null;
  const message = rows.messageAt(element);
  if (altKey || (target !== log && element === null)) return;
  if (key === "Enter" && element && message) openMenu(element);
  else if (key === "ArrowUp" || key === "ArrowDown") {
    const by = key === "ArrowUp" ? -1 : 1;
    focusOn(
      rows,
      message ? rows.seqs.indexOf(message.seq) + by : rows.seqs.indexOf(start() ?? -1),
      by,
    );
  } else if (key === "Escape" && message) log.focus();
  else return;
  event.preventDefault();
}

/**
 * Tab goes from the focused message to its own links and buttons, and to no other message's.
 * @param {HTMLElement} log
 */
export function keepOneTabStop(log) {
  const set = (/** @type {EventTarget | null} */ target, /** @type {number} */ tabIndex) => {
    const message = target instanceof Element ? target.closest(".message") : null;
    for (const control of message?.querySelectorAll(CONTROLS) ?? [])
      control.setAttribute("tabindex", String(tabIndex));
  };
  log.addEventListener("focusin", ({ target }) => set(target, 0));
  log.addEventListener("focusout", ({ target }) => set(target, -1));
}

/** Open a message's menu; a deleted message has none. @param {HTMLElement} element */
function openMenu(element) {
  const button = part(element, "act");
  if (!button.hidden) button.click();
}

/** Messages that are not shown are passed over. @param {Rows} rows @param {number} index @param {number} by */
function focusOn(rows, index, by) {
  let at = index;
  while (rows.elementOf(rows.seqs[at])?.classList.contains("gone")) at += by;
  const element = rows.elementOf(rows.seqs[at]);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
}
