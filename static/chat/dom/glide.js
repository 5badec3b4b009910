/** Lets the panes of a row glide to their new places when something in the row is closed. */

/** How far the ring around the pane with the focus reaches. */
const RING_PX = 4;
/** Tells these motions from those of the style sheets. The parts in lazy/ have a copy of this module each, so the motions are found in the document. */
const ID = "glide";

/** What is seen of a pane, in the window. @typedef {{left: number, top: number, width: number, height: number}} Seen */

/** The rows in which panes glide from the next frame on. @type {WeakSet<Element>} */
const rows = new WeakSet();

/**
 * Something in the row is about to be closed: in the next frame, the panes glide from where they are seen now to where
 * they then stand.
 * @param {Element} row
 * @param {() => void} end called when a pane, or all of them, stand still
 */
export function glideFromHere(row, end) {
  if (rows.has(row)) return; // several are closed at once
  rows.add(row);
  const panes = [...row.querySelectorAll("room-pane")].map((pane) => ({
    pane,
    from: seenOf(pane),
  }));
  requestAnimationFrame(() => {
    rows.delete(row);
    // A pane that still glides stands elsewhere, which is not known before its motion has ended.
    for (const { pane } of panes) for (const motion of motionsOf(pane)) motion.cancel();
    const ways = panes.map((way) => ({ ...way, to: way.pane.getBoundingClientRect() }));
    const areMoving = ways.map((way) => glide(way, end));
    if (!areMoving.includes(true)) end();
  });
}

/** @param {Element} pane */
function motionsOf(pane) {
  return pane.getAnimations().filter(({ id }) => id === ID);
}

/** A pane that glides is seen in part. @param {Element} pane @returns {Seen} */
function seenOf(pane) {
  const { left, top, width, height } = pane.getBoundingClientRect();
  // As in the longhand of a margin, a side that is the same as the opposite one is left out.
  const clip = getComputedStyle(pane).clipPath.match(/-?[\d.]+(e-?\d+)?/g) ?? ["0"];
  const [above = 0, right = above, below = above] = clip.map(Number);
  return { left, top, width: width - Math.max(0, right), height: height - Math.max(0, below) };
}

/**
 * Move a pane from where it was, in the time that a pane takes to open. Its content has its new size at once, and what of
 * it was not shown before is uncovered.
 * @param {{pane: Element, from: Seen, to: DOMRect}} way
 * @param {() => void} end
 * @returns {boolean} whether it moves
 */
function glide({ pane, from, to }, end) {
  const seconds = Number.parseFloat(getComputedStyle(pane).animationDuration);
  // It is closed, or beside the only one that is shown, or the user wants less motion.
  if (!from.width || !to.width || !seconds) return false;
  const [x, y] = [from.left - to.left, from.top - to.top];
  const [right, below] = [to.width - from.width, to.height - from.height];
  if ([x, y, right, below].every((px) => Math.abs(px) < 1)) return false;
  const motion = pane.animate(
    {
      translate: [`${x}px ${y}px`, "0px 0px"],
      clipPath: [clipBy(right, below), clipBy(-RING_PX, -RING_PX)],
    },
    { id: ID, duration: 1000 * seconds, easing: "ease-out" },
  );
  motion.onfinish = end;
  return true;
}

/** Show all of a pane but so many pixels at its ends. What is drawn around the pane with the focus stays. @param {number} right @param {number} below */
function clipBy(right, below) {
  const sides = [-RING_PX, right, below, -RING_PX].map((px) => `${Math.max(px, -RING_PX)}px`);
  return `inset(${sides.join(" ")})`;
}
