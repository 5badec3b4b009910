/** The edge between two boxes, which is dragged by a pointer or moved by the arrow keys. */

import { gettext } from "../model/language.js";

/** What an edge does. `begin` returns what moves it by so many pixels from where it is now, and `end` is called when it was moved. @typedef {{begin: () => ((by: number) => void) | undefined, end: () => void, evenOut: () => void}} EdgeActions */

/** By how many pixels an arrow key moves an edge. */
const STEP_PX = 24;
/** So long after the last key, the sizes are saved. Browsers limit how often an address may change. */
const SAVE_AFTER_MS = 300;
/** The keys that move an edge: a vertical one moves sideways. */
const STEPS = {
  vertical: { ArrowLeft: -STEP_PX, ArrowRight: STEP_PX },
  horizontal: { ArrowUp: -STEP_PX, ArrowDown: STEP_PX },
};

/**
 * @param {"vertical" | "horizontal"} orientation
 * @param {EdgeActions} actions
 */
export function createEdge(orientation, actions) {
  const edge = document.createElement("div");
  edge.className = "pane-edge";
  edge.tabIndex = 0;
  edge.role = "separator";
  edge.ariaOrientation = orientation;
  edge.ariaValueMin = "0";
  edge.ariaValueMax = "100";
  edge.title = gettext("Drag to resize. Double-click to even out.");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let saving;
  edge.addEventListener("dblclick", actions.evenOut);
  edge.addEventListener("keydown", (event) => {
    const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
    if (altKey || ctrlKey || metaKey || shiftKey) return;
    /** @type {Record<string, number>} */
    const steps = STEPS[orientation];
    const step = steps[key];
    if (step !== undefined) {
      actions.begin()?.(step);
      clearTimeout(saving);
      saving = setTimeout(actions.end, SAVE_AFTER_MS);
    } else if (key === "Enter") actions.evenOut();
    else return;
    event.preventDefault();
  });
  edge.addEventListener("pointerdown", (press) => drag(edge, press, orientation, actions));
  return edge;
}

/** @param {HTMLElement} edge @param {PointerEvent} press @param {"vertical" | "horizontal"} orientation @param {EdgeActions} actions */
function drag(edge, press, orientation, { begin, end }) {
  const move = press.button === 0 ? begin() : undefined;
  if (!move) return;
  press.preventDefault(); // or the pointer would select text
  edge.setPointerCapture(press.pointerId);
  const dragging = new AbortController();
  const { signal } = dragging;
  const at = (/** @type {PointerEvent} */ { clientX, clientY }) =>
    orientation === "vertical" ? clientX : clientY;
  edge.addEventListener("pointermove", (event) => move(at(event) - at(press)), { signal });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
    edge.addEventListener(name, () => dragging.abort(), { signal });
  signal.addEventListener("abort", end);
}
