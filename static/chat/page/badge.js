/** Shows the number of unread messages in the page's title and icon. */

import { gettext } from "../model/language.js";
import { countsWords } from "../model/strings.js";

/** @import {Badge} from "../lazy/badge_icon.js" */
/** @import {Counts} from "../model/strings.js" */

/** @type {Badge | null} */
let shown = null;

/** @param {Counts} counts @param {boolean} hasAlert */
export function showBadge(counts, hasAlert) {
  const number = countsWords(counts);
  const name = number ? `(${number}) Multichat` : "Multichat";
  const title = hasAlert ? gettext("● Alert {name}", { name }) : name;
  if (document.title === title) return;
  document.title = title;
  const badge = { ...counts, hasAlert };
  // The icon shows the newest numbers, whichever load ends last. Without it the title says the same.
  shown = badge;
  import("lazy/badge_icon").then(
    ({ showIcon }) => showIcon(shown ?? badge),
    () => {},
  );
}
