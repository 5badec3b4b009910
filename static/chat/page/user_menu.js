/** The menu at the user's name: settings that this browser keeps, and the density. */

import { ask } from "../dom/ask.js";

/** @import {Item, Menu} from "../dom/menu.js" */
/** @import {Name, Preferences} from "../model/preferences.js" */

/** The settings that are on or off, in their order. @type {[Name, string][]} */
const SWITCHES = [
  ["showsTyping", "Show who is writing"],
  ["clickCloses", "A click on an open room closes it"],
];

/**
 * Open the menu at a button.
 * @param {HTMLElement} button
 * @param {Menu} menu
 * @param {Preferences} preferences
 */
export function openAtClick(button, menu, preferences) {
  button.addEventListener("click", () => menu.open(button, "Settings", items(preferences)));
}

/** @param {Preferences} preferences @returns {Item[]} */
function items(preferences) {
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
