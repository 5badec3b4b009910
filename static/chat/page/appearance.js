/** Shows the page in the theme, the density and with the clock that the user chose: attributes of <html>. */

import { followClock } from "../log/days.js";

/** @import {Appearance} from "../model/protocol.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */

/** How the page looks now. The server has put it into the page. @returns {Partial<Appearance>} */
export function appearance() {
  return document.documentElement.dataset;
}

/** @param {Appearance} chosen @param {PaneRow} panes */
export function showAppearance({ theme, density, clock }, panes) {
  const shown = appearance();
  if (theme !== shown.theme) shown.theme = theme;
  if (density !== shown.density) {
    // Each log keeps the message that is being read where it is.
    let change = () => {
      shown.density = density;
    };
    for (const { list } of panes.all) {
      const inner = change;
      change = () => list.keepStill(inner);
    }
    change();
  }
  if (clock === shown.clock) return;
  shown.clock = clock;
  followClock();
  for (const { list } of panes.all) list.updateZone();
}
