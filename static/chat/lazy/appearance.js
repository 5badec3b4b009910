/** Shows the page in the theme, the density and with the clock that the user has just chosen. Loaded at the first change. */

/** @import {Appearance} from "../model/protocol.js" */

/** The log of a pane. @typedef {{keepStill: (change: () => void) => void, updateZone: () => void}} Log */

/**
 * Change the attributes of <html>. The server has put the present choices there.
 * @param {Appearance} chosen
 * @param {Log[]} logs
 * @param {() => void} followClock
 */
export function showAppearance({ theme, density, clock }, logs, followClock) {
  const shown = document.documentElement.dataset;
  if (theme !== shown.theme) shown.theme = theme;
  if (density !== shown.density) {
    // Each log keeps the message that is being read where it is.
    let change = () => {
      shown.density = density;
    };
    for (const log of logs) {
      const inner = change;
      change = () => log.keepStill(inner);
    }
    change();
  }
  if (clock === shown.clock) return;
  shown.clock = clock;
  followClock();
  for (const log of logs) log.updateZone();
}
