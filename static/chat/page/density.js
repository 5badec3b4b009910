/** Shows messages in the density that the user chose: comfortable, or compact. */

/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Preferences} from "../model/preferences.js" */

/** @param {Preferences} preferences @param {PaneRow} panes */
export function followDensity(preferences, panes) {
  const root = document.documentElement;
  preferences.follow("isCompact", () => {
    const density = preferences.get("isCompact") ? "compact" : "comfortable";
    if (density === (root.dataset.density ?? "comfortable")) return;
    // Each log keeps the message that is being read where it is.
    let change = () => {
      root.dataset.density = density;
    };
    for (const { list } of panes.all) {
      const inner = change;
      change = () => list.keepStill(inner);
    }
    change();
  });
}
