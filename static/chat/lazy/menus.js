/** The page's menu, and the items of all menus. */

import { ask } from "../dom/ask.js";
import { Menu } from "../dom/menu.js";
import { printOnly } from "../dom/print.js";
import { columnsOf, indexOf, isWidened, LOW, upperFor } from "../model/columns.js";
import { gettext } from "../model/language.js";
import { asMarkdown } from "../model/markdown.js";
import { messageItems } from "../model/message_items.js";
import { LEVELS } from "../model/strings.js";
import { showWho } from "./unconfirmed.js";

/** @import {Item} from "../dom/menu.js" */
/** @import {Arrangement} from "./arrangement.js" */
/** @import {Layout} from "../model/layout.js" */
/** @import {Name, Preferences} from "../model/preferences.js" */
/** @import {Shortcuts} from "../model/shortcuts.js" */
/** @import {Unread} from "../model/unread.js" */

/** The row of panes. @typedef {{layout: Layout, isPhone: boolean, arrange: (change: (arrangement: Arrangement) => void) => void}} Panes */
/** What the page can do with a pane. @typedef {{readTracker: {hasUnread: (room: string) => boolean, markRead: (room: string) => void}, shortcuts: Shortcuts, titleOf: (room: string) => string, askForDay: () => void, print: () => void, settings: Item | null}} Ways */

export { asMarkdown, Menu, messageItems, printOnly, showWho };

/** The settings that are on or off, in their order. @type {[Name, string][]} */
const SWITCHES = [
  ["showsTyping", gettext("Show who is writing")],
  ["clickCloses", gettext("A click on an open room closes it")],
];

/**
 * What can be done with a pane. What would have no effect is left out.
 * @param {Panes} panes
 * @param {string} room
 * @param {Ways} ways
 * @returns {Item[]}
 */
export function paneItems(panes, room, ways) {
  const { readTracker, askForDay, print, settings } = ways;
  const items = arrangeItems(panes, room, ways);
  items.push({ label: gettext("Jump to date…"), act: askForDay });
  items.push({ label: gettext("Print"), act: print });
  if (readTracker.hasUnread(room))
    items.push({ label: gettext("Mark as read"), act: () => readTracker.markRead(room) });
  if (settings) items.push(settings);
  return items;
}

/**
 * How a pane can be moved, and which other shape it can have.
 * @param {Panes} panes
 * @param {string} room
 * @param {Pick<Ways, "shortcuts" | "titleOf">} ways
 * @returns {Item[]}
 */
function arrangeItems(panes, room, { shortcuts, titleOf }) {
  const { layout, isPhone } = panes;
  const columns = columnsOf(layout);
  const index = indexOf(layout, room);
  const isShared = (columns[index]?.rooms.length ?? 0) > 1;
  /** @type {Item[]} */
  const items = [];
  /** @param {string} label @param {(arrangement: Arrangement) => void} change @param {string} [keys] */
  const add = (label, change, keys) =>
    items.push({ label, act: () => panes.arrange(change), ...(keys && { keys }) });
  // On a phone, two panes of a column are two tabs.
  const place = isPhone ? layout.order.indexOf(room) : index;
  const last = (isPhone ? layout.order.length : columns.length) - 1;
  if (place > 0 || (isShared && !isPhone))
    add(gettext("Move left"), (to) => to.move(room, -1), shortcuts.chordFor("moveLeft"));
  if (place < last || (isShared && !isPhone))
    add(gettext("Move right"), (to) => to.move(room, 1), shortcuts.chordFor("moveRight"));
  if (layout.order.length < 2 || isPhone) return items;
  if (columns.length > 1)
    add(isWidened(layout, room) ? gettext("Even out") : gettext("Widen"), (to) =>
      to.toggleWide(room),
    );
  const upper = matchMedia(LOW).matches ? undefined : upperFor(layout, room);
  if (upper !== undefined)
    add(gettext("Put below {room}", { room: titleOf(upper) }), (to) => to.putBelow(room, upper));
  if (isShared) add(gettext("Give it its own column"), (to) => to.separate(room));
  add(gettext("Make it a strip"), (to) => to.fold(room));
  return items;
}

/**
 * What can be done with a room in the list.
 * @param {string} room
 * @param {{isOpen: boolean, isAnyUnread: boolean, readTracker: {hasUnread: (room: string) => boolean, markRead: (room: string) => void, markAllRead: () => void}, navigation: {closeRoom: (room: string) => void, focusRoom: (room: string) => void}}} ways
 */
export function rowItems(room, { isOpen, isAnyUnread, readTracker, navigation }) {
  /** @type {Item[]} */
  const items = [];
  if (readTracker.hasUnread(room))
    items.push({ label: gettext("Mark as read"), act: () => readTracker.markRead(room) });
  if (isAnyUnread)
    items.push({ label: gettext("Mark all as read"), act: () => readTracker.markAllRead() });
  if (isOpen) items.push({ label: gettext("Close"), act: () => navigation.closeRoom(room) });
  else items.push({ label: gettext("Open"), act: () => navigation.focusRoom(room) });
  return items;
}

/** What the reader can choose to hear of a room. @param {string} room @param {Unread} unread @returns {Item[]} */
export function levelChoices(room, unread) {
  return LEVELS.map(([level, label]) => ({
    label,
    isOn: unread.levelOf(room) === level,
    act: () => unread.setLevel(room, level),
  }));
}

/** The settings that this browser keeps, and the density. @param {Preferences} preferences @returns {Item[]} */
export function settingItems(preferences) {
  const isCompact = document.documentElement.dataset.density === "compact";
  return [
    ...SWITCHES.map(([name, label]) => ({
      label,
      isOn: preferences.get(name) === true,
      act: () => preferences.set(name, !preferences.get(name)),
    })),
    // Kept by the server, so all pages of the user follow.
    {
      label: gettext("Compact messages"),
      isOn: isCompact,
      act: () =>
        void ask("/accounts/appearance/", { density: isCompact ? "comfortable" : "compact" }),
    },
  ];
}
