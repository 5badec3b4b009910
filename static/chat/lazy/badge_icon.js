/** Draws the page's icon with the number of unread messages. Loaded when there are any. */

/** @import {Counts} from "../model/strings.js" */

/** What is shown; `hasAlert`: an alert waits for the user, in any room. @typedef {Counts & {hasAlert: boolean}} Badge */

/** @param {Badge} badge */
export function showIcon({ unread, mentions, hasAlert }) {
  const link = /** @type {HTMLLinkElement} */ (document.querySelector('link[rel="icon"]'));
  link.dataset.plain ??= link.href;
  const label = hasAlert ? "!" : unread > 99 ? "99" : String(unread);
  const colour = hasAlert ? "#b3261e" : mentions ? "#3d63c4" : "#1c2333";
  link.href = hasAlert || unread ? icon(label, colour) : link.dataset.plain;
}

/**
 * Draw the page's icon with a number or a sign on it.
 * @param {string} number
 * @param {string} colour
 */
function icon(number, colour) {
  const bars = [6, 13.3, 20.6]
    .map((x) => `<rect x="${x}" y="7" width="5.4" height="18" rx="2.2" fill="#fff"/>`)
    .join("");
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="9" fill="#3d63c4"/>${bars}` +
    `<rect x="${number.length > 1 ? 10 : 15}" y="14" width="${number.length > 1 ? 22 : 17}" height="18" rx="7" fill="${colour}" stroke="#fff" stroke-width="1.5"/>` +
    `<text x="${number.length > 1 ? 21 : 23.5}" y="28" font-family="sans-serif" font-size="14" font-weight="700" fill="#fff" text-anchor="middle">${number}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
