/** The items of the menu at the user's name: settings that this browser keeps, and the density. */

import { ask } from "../dom/ask.js";

/** @import {Item} from "../dom/menu.js" */
/** @import {Name, Preferences} from "../model/preferences.js" */

/** The settings that are on or off, in their order. @type {[Name, string][]} */
const SWITCHES = [
  ["showsTyping", "Show who is writing"],
  ["clickCloses", "A click on an open room closes it"],
];

/** @param {Preferences} preferences @returns {Item[]} */
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
      label: "Compact messages",
      isOn: isCompact,
      act: () =>
        void ask("/accounts/appearance/", { density: isCompact ? "comfortable" : "compact" }),
    },
  ];
}
