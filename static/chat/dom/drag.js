/** Drags a pane by its head. */

const BEGINS_AFTER_PX = 6;
const EDGE_PX = 48;
const SCROLL_PX = 14;

/**
 * Follow a pointer from its press. The press stays a click until the pointer has moved.
 * @param {PointerEvent} press
 * @param {HTMLElement} pane
 * @param {HTMLElement} row scrolls sideways when the pointer is near its edges
 * @param {{over: (x: number, y: number) => void, drop: () => void, cancel: () => void}} listener
 */
export function startDrag(press, pane, row, { over, drop, cancel }) {
  const isControl = press.target instanceof Element && press.target.closest("button, summary, ul");
  if (press.button !== 0 || isControl) return;
  const grip = press.clientX - pane.getBoundingClientRect().left;
  const end = new AbortController();
  const { signal } = end;
  let isMoving = false;

  /** @param {PointerEvent} event */
  const move = ({ clientX, clientY, pointerId }) => {
    if (pointerId !== press.pointerId) return;
    isMoving ||= Math.abs(clientX - press.clientX) > BEGINS_AFTER_PX;
    if (!isMoving) return;
    pane.classList.add("dragged");
    const { left, right } = row.getBoundingClientRect();
    if (clientX < left + EDGE_PX) row.scrollLeft -= SCROLL_PX;
    if (clientX > right - EDGE_PX) row.scrollLeft += SCROLL_PX;
    over(clientX, clientY);
    pane.style.translate = "none";
    pane.style.translate = `${clientX - grip - pane.getBoundingClientRect().left}px`;
  };
  const stop = () => {
    end.abort();
    pane.classList.remove("dragged");
    pane.style.translate = "";
  };
  document.addEventListener("pointermove", move, { signal });
  const release = () => {
    stop();
    if (isMoving) drop();
  };
  document.addEventListener("pointerup", release, { signal });
  document.addEventListener(
    "pointercancel",
    () => {
      stop();
      cancel();
    },
    { signal },
  );
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      stop();
      cancel();
    },
    { signal, capture: true },
  );
}
