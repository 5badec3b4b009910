/** Opens the menu of the user's workspaces. They are loaded when it is first opened, or at once for users who have any. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";
import { gettext } from "../model/language.js";

/** @import {Shape} from "../model/protocol.js" */
/** @import {PageParts, Sent} from "../lazy/pane_sets.js" */
/** @import {Menus} from "./menus.js" */

/** @param {Omit<PageParts, "showMenu">} page @param {Menus} menus @param {{workspaces: Sent, open: string[], wide: string | null, shapes: Record<string, Shape>}} config @param {() => void} notLoaded */
export function paneSets(page, menus, { workspaces: sent, open: order, wide, shapes }, notLoaded) {
  const button = part(document, "workspaces");
  const showMenu = (/** @type {import("../dom/menu.js").Item[]} */ items) =>
    menus.open(button, gettext("Workspaces"), () => items);
  page.navigation.setId = sent.current;
  if (sent.current) page.navigation.saveSet = () => {};
  const sets = new LazyPart(async () => {
    const { PaneSets } = await import("lazy/pane_sets");
    return new PaneSets({ ...page, showMenu }, sent, { order, wide, shapes });
  }, notLoaded);
  button.addEventListener("click", () => sets.use((loaded) => void loaded.openMenu()));
  if (sent.list.length) sets.load().catch(() => {});
  return sets;
}
