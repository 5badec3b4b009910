/** Lists what can be done with a pane, by menu or by key. */

/** @import {Item} from "../dom/menu.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Shortcuts} from "../model/shortcuts.js" */
/** @import {ReadTracker} from "./read_tracker.js" */

/**
 * Leave out what would have no effect.
 * @param {PaneRow} panes
 * @param {string} room
 * @param {{readTracker: ReadTracker, shortcuts: Shortcuts, askForDay: () => void, print: () => void, settings: Item | null}} ways
 * @returns {Item[]}
 */
export function paneItems(panes, room, { readTracker, shortcuts, askForDay, print, settings }) {
  const { order, wide } = panes.layout;
  const index = order.indexOf(room);
  /** @type {Item[]} */
  const items = [];
  if (index > 0)
    items.push({
      label: "Move left",
      keys: shortcuts.chordFor("moveLeft"),
      act: () => panes.movePane(room, -1),
    });
  if (index < order.length - 1)
    items.push({
      label: "Move right",
      keys: shortcuts.chordFor("moveRight"),
      act: () => panes.movePane(room, 1),
    });
  if (order.length > 1 && !panes.isPhone)
    items.push({ label: wide === room ? "Even out" : "Widen", act: () => panes.toggleWide(room) });
  items.push({ label: "Jump to date…", act: askForDay });
  items.push({ label: "Print", act: print });
  if (readTracker.hasUnread(room))
    items.push({ label: "Mark as read", act: () => readTracker.markRead(room) });
  if (settings) items.push(settings);
  return items;
}
