/** Places a popover beside an element, inside the window. */

const MARGIN = 8;

/**
 * Place a popover below an element, or above it if it does not fit below.
 * @param {HTMLElement} box shown already, so that it can be measured
 * @param {DOMRect} at
 */
export function placeBeside(box, at) {
  const { offsetWidth: width, offsetHeight: height, style } = box;
  const left = Math.max(MARGIN, Math.min(at.right - width, innerWidth - width - MARGIN));
  const fits = at.bottom + height + MARGIN < innerHeight;
  const top = fits ? at.bottom + 2 : Math.max(MARGIN, at.top - height - 2);
  style.left = `${left}px`;
  style.top = `${top}px`;
}
