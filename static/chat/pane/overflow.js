/** Shows how many panes are beyond the edges of the row, with a button that brings the next one into view. */

import { part } from "../dom/templates.js";
import { overflowWords } from "../model/strings.js";

/** @import {PaneRow} from "./pane_row.js" */
/** @import {RoomPane} from "./room_pane.js" */

/** How many pixels of a pane may be out of view, about its edge, before the buttons count it. */
const CUT = 16;

/**
 * @param {HTMLElement} row
 * @param {PaneRow} panes
 * @param {(rooms: Set<string>) => void} showAway gets the rooms whose panes are out of view
 * @returns {() => void} updates the buttons
 */
export function showOverflow(row, panes, showAway) {
  const buttons = /** @type {const} */ (["left", "right"]).map((side) => {
    const button = part(document, `overflow-${side}`);
    button.addEventListener("click", () =>
      beyond(side).at(0)?.scrollIntoView({ block: "nearest" }),
    );
    return { side, button };
  });
  /** Panes that are cut at an edge, or only those of which less than half is in view, the nearest first. @param {"left" | "right"} side @param {boolean} [isAway] */
  const beyond = (side, isAway = false) => {
    const edge = row.getBoundingClientRect();
    const all = panes.layout.order.flatMap((room) => panes.get(room) ?? []);
    const hidden = all.filter((pane) => {
      const { left, right } = pane.getBoundingClientRect();
      if (left === right) return false; // it steps aside while the user catches up
      const most = isAway ? (right - left) / 2 : CUT;
      return side === "left" ? edge.left - left > most : right - edge.right > most;
    });
    return side === "left" ? hidden.reverse() : hidden;
  };
  const update = () => {
    for (const { side, button } of buttons) {
      const count = panes.isPhone ? 0 : beyond(side).length;
      button.hidden = count === 0;
      button.textContent = count ? overflowWords(count) : "";
    }
    const away = panes.isPhone ? [] : [...beyond("left", true), ...beyond("right", true)];
    showAway(new Set(away.map(roomOf)));
  };
  row.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(row);
  return update;
}

/** @param {RoomPane} pane */
function roomOf({ room }) {
  return room;
}
