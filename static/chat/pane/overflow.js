/** Shows how many panes are beyond the edges of the row, with a button that brings the next one into view. */

import { part } from "../dom/templates.js";
import { overflowWords } from "../model/strings.js";

/** @import {PaneRow} from "./pane_row.js" */
/** @import {RoomPane} from "./room_pane.js" */

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
  /** Panes of which less than half is in view, the nearest first. @param {"left" | "right"} side */
  const beyond = (side) => {
    const edge = row.getBoundingClientRect();
    const all = panes.layout.order.flatMap((room) => panes.get(room) ?? []);
    const hidden = all.filter((pane) => {
      const { left, right } = pane.getBoundingClientRect();
      if (left === right) return false; // it steps aside while the user catches up
      const middle = (left + right) / 2;
      return side === "left" ? middle < edge.left : middle > edge.right;
    });
    return side === "left" ? hidden.reverse() : hidden;
  };
  const update = () => {
    for (const { side, button } of buttons) {
      const count = panes.isPhone ? 0 : beyond(side).length;
      button.hidden = count === 0;
      button.textContent = count ? overflowWords(count) : "";
    }
    showAway(new Set(panes.isPhone ? [] : [...beyond("left"), ...beyond("right")].map(roomOf)));
  };
  row.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(row);
  return update;
}

/** @param {RoomPane} pane */
function roomOf({ room }) {
  return room;
}
