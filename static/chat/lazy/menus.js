/** The menu, and the items of all menus of the page. */

export { Menu } from "../dom/menu.js";
export { printOnly } from "../dom/print.js";
export { messageItems } from "../log/message_menu.js";
export { asMarkdown } from "../model/markdown.js";
export { paneItems } from "../page/pane_menu.js";
export { settingItems } from "../page/setting_items.js";
