/** Named sets of panes, which the page calls workspaces: what to do when another window changed the set that is shown. */

import { changeOf } from "./layout.js";

/** @import {Panes} from "./layout.js" */
/** @import {LayoutChange} from "./protocol.js" */

/** A set as the server has it. @typedef {Panes & {id: number, name: string, version: number}} PaneSet */

/**
 * Apply a change as the server does (chat/store/layouts.py).
 * @param {Panes} panes
 * @param {LayoutChange} change
 * @returns {Panes}
 */
export function applyChange({ order, wide, shapes }, change) {
  const panes = order.filter((room) => !change.close.includes(room));
  for (const { room, after, before } of change.put) {
    if (panes.includes(room)) panes.splice(panes.indexOf(room), 1);
    let at = panes.length;
    if (before !== undefined && panes.includes(before)) at = panes.indexOf(before);
    else if (after !== undefined && panes.includes(after)) at = panes.indexOf(after) + 1;
    panes.splice(at, 0, room);
  }
  const kept = change.narrow === wide ? null : wide;
  const widened = change.wide ?? kept;
  const changed = { ...shapes };
  for (const { room, ...shape } of change.shapes ?? []) changed[room] = shape;
  return {
    order: panes,
    wide: widened !== null && panes.includes(widened) ? widened : null,
    shapes: Object.fromEntries(
      Object.entries(changed).filter(
        ([room, shape]) => panes.includes(room) && Object.keys(shape).length,
      ),
    ),
  };
}

/** @param {Panes} panes @param {Set<string>} rooms @returns {Panes} the panes of all other rooms. What stood below one of these gets the column. */
export function without({ order, wide, shapes }, rooms) {
  /** @type {Panes["shapes"]} */
  const kept = {};
  order.forEach((room, index) => {
    const { below, height, ...rest } = shapes[room] ?? {};
    const shape = rooms.has(order[index - 1] ?? "") ? rest : (shapes[room] ?? {});
    if (!rooms.has(room) && Object.keys(shape).length) kept[room] = shape;
  });
  return {
    order: order.filter((room) => !rooms.has(room)),
    wide: wide !== null && rooms.has(wide) ? null : wide,
    shapes: kept,
  };
}

/**
 * Find the rooms of a set for which a page has no pane: it does not know them, because they are archived or very new,
 * or it is full. Panes that are open go before others.
 * @param {Panes} wanted
 * @param {{isOpen: (room: string) => boolean, isKnown: (room: string) => boolean, free: number}} page `free`: how many panes it may have
 */
export function unshowable({ order }, { isOpen, isKnown, free }) {
  let left = free - order.filter(isOpen).length;
  return new Set(
    order.filter((room) => {
      if (isOpen(room)) return false;
      if (!isKnown(room) || left <= 0) return true;
      left -= 1;
      return false;
    }),
  );
}

/**
 * Merge what the user did here with what the server has now. Both began with `base`.
 * @param {Panes} base
 * @param {Panes} own
 * @param {Panes} theirs
 * @returns {Panes}
 */
export function mergePanes(base, own, theirs) {
  const change = changeOf(base, own);
  return change === null ? theirs : applyChange(theirs, change);
}
