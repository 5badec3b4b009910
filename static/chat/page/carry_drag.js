/** Lets the mouse drag a message onto the composer of another pane, to quote it there. */

/** @import {Source} from "../model/protocol.js" */
import { paneOf } from "../pane/pane_row.js";

/**
 * @param {HTMLElement} row the row of panes
 * @param {(room: string, source: Source) => void} drop
 */
export function followDrops(row, drop) {
  row.addEventListener("pointerdown", ({ target, button, pointerType }) => {
    const from = paneOf(target);
    const message = from?.list.messageAt(target);
    if (!from || !message || message.deleted || button !== 0 || pointerType === "touch") return;
    const end = new AbortController();
    const { signal } = end;
    const stop = () => {
      row.classList.remove("carrying");
      end.abort();
    };
    const move = (/** @type {PointerEvent} */ event) => {
      const over = paneOf(event.target);
      row.classList.toggle("carrying", over !== from);
    };
    const up = (/** @type {PointerEvent} */ event) => {
      stop();
      const over = paneOf(event.target);
      if (!over?.composer.contains(/** @type {Node} */ (event.target)) || over === from) return;
      getSelection()?.removeAllRanges(); // the drag has selected text on its way
      drop(over.room, { room: from.room, seq: message.seq });
    };
    document.addEventListener("pointermove", move, { signal });
    document.addEventListener("pointerup", up, { signal });
    document.addEventListener("pointercancel", stop, { signal });
  });
}
