/** Offers for some seconds to open a room again that the user closed, at the place where its pane was. */

import { copyElement, part, setLine } from "../dom/templates.js";
import { closedWords } from "../model/strings.js";

/** @import {Layout} from "../model/layout.js" */
/** @import {Shape} from "../model/protocol.js" */

/** What is needed of the row of panes. @typedef {{layout: Layout, get: (room: string) => unknown, placeBefore: (room: string, next: string) => void}} Panes */

/** A pane when it was closed: `box` in the window, `order` of all panes. @typedef {{id: string, box: DOMRect, order: string[], wide: string | null, shape: Shape | undefined, shapes: Record<string, Shape>, isPhone: boolean}} Closed */

const OFFER_MS = 8_000;
/** The space that the offer leaves between it and what it must not cover. */
const MARGIN = 4;
/** The controls at the height of the offer, and what else is better not covered. */
const CONTROLS = ".pane-head :is(button, summary, select), .open-strip";
const TITLES = ".pane-head :is(h2, .topic)";

export class ReopenOffer {
  #box;
  #row = part(document, "panes");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Where the middle of the offer should be, from the window's left edge. */
  #x = 0;
  #resized = new ResizeObserver(() => this.#place());

  /** @param {HTMLElement} box over the row of panes */
  constructor(box) {
    this.#box = box;
    this.#row.addEventListener("scroll", () => this.#place(), { passive: true });
  }

  /**
   * Show the offer, in place of an earlier one.
   * @param {string} title
   * @param {Closed} was
   * @param {() => void} reopen
   */
  show(title, { id, box, order, isPhone }, reopen) {
    // The middle of the gap that the pane left.
    this.#x = isPhone || id === order.at(-1) ? box.left + box.width / 2 : box.left;
    const offer = copyElement("reopen-template");
    setLine(part(offer, "closed"), closedWords(title));
    part(offer, "reopen-button").addEventListener("click", () => {
      this.hide();
      reopen();
    });
    this.#box.replaceChildren(offer);
    this.#place();
    // A pane that is opened or closed meanwhile changes the size of others, and so does the window.
    for (const element of [this.#row, ...this.#row.querySelectorAll("room-pane, room-people")])
      this.#resized.observe(element);
    this.#hideLater();
  }

  /** Put the offer over the heads of panes, near the place of the closed one, where it covers no control and, if there is space, no title. */
  #place() {
    const offer = this.#box.firstElementChild;
    const main = this.#box.parentElement?.getBoundingClientRect();
    if (!(offer instanceof HTMLElement) || !main) return;
    this.#box.style.setProperty("--width", "none");
    const { width: exact, height } = offer.getBoundingClientRect();
    const width = Math.ceil(exact) + 1; // or a part of a pixel would cut the sentence
    const heads = [...this.#row.querySelectorAll(".pane-head")];
    const head = heads.find((element) => element.checkVisibility())?.getBoundingClientRect();
    const band = head ?? main;
    const boxesOf = (/** @type {string} */ selector) =>
      [...this.#row.querySelectorAll(selector)]
        .map((element) => element.getBoundingClientRect())
        .filter((box) => box.width && box.top < band.top + height && box.bottom > band.top);
    const controls = boxesOf(CONTROLS);
    const withTitles = [...controls, ...boxesOf(TITLES)];
    const place =
      spaceFor(width, this.#x, gapsBetween(withTitles, main)) ??
      spaceFor(width, this.#x, gapsBetween(controls, main)) ??
      gapsBetween(controls, main).reduce((a, b) => (b.to - b.from > a.to - a.from ? b : a));
    const middle = head ? (head.top + head.bottom) / 2 : main.top + height;
    this.#box.style.setProperty("--x", `${place.from - main.left}px`);
    this.#box.style.setProperty("--y", `${middle - height / 2 - main.top}px`);
    this.#box.style.setProperty("--width", `${place.to - place.from}px`);
  }

  /**
   * Put a pane that was opened again where it was: before the pane that followed it, and below the one above it.
   * @param {Panes} panes
   * @param {Closed} was
   */
  putBack(panes, { id: room, order, wide, shape, shapes }) {
    const { layout } = panes;
    const index = order.indexOf(room);
    const [previous, next] = [order[index - 1], order.slice(index + 1)];
    const follower = next.find((id) => panes.get(id) && !layout.shapes[id]?.below);
    if (follower !== undefined) panes.placeBefore(room, follower);
    if (wide === room) layout.wide = room;
    const isUnder = layout.order[layout.order.indexOf(room) - 1] === previous;
    layout.changeShape(room, { ...shape, below: shape?.below === true && isUnder });
    // The pane that was below this one got the column when it was closed.
    const [below = ""] = layout.order.slice(layout.order.indexOf(room) + 1);
    if (below === next[0] && shapes[below]?.below) layout.changeShape(below, shapes[below]);
  }

  hide() {
    clearTimeout(this.#timer);
    this.#resized.disconnect();
    this.#box.replaceChildren();
  }

  /** An offer that the user points at or has focused stays. */
  #hideLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#box.matches(":hover, :focus-within")) this.#hideLater();
      else this.hide();
    }, OFFER_MS);
  }
}

/** From one edge to the other, in pixels from the window's left edge. @typedef {{from: number, to: number}} Span */

/** @param {DOMRect[]} boxes @param {DOMRect} around @returns {Span[]} what is free beside the boxes, at least one span */
function gapsBetween(boxes, around) {
  /** @type {Span[]} */
  const gaps = [];
  let from = around.left + MARGIN;
  for (const { left, right } of boxes.toSorted((a, b) => a.left - b.left)) {
    if (left - MARGIN > from) gaps.push({ from, to: Math.min(left, around.right) - MARGIN });
    from = Math.max(from, right + MARGIN);
  }
  const to = Math.max(around.right - MARGIN, from);
  return [...gaps, { from, to }].filter((gap) => gap.to > gap.from || gaps.length === 0);
}

/** @param {number} width @param {number} x @param {Span[]} gaps @returns {Span | undefined} so much of a gap, with its middle as near to x as it can be */
function spaceFor(width, x, gaps) {
  const start = x - width / 2;
  const spans = gaps
    .filter(({ from, to }) => to - from >= width)
    .map((gap) => Math.min(Math.max(start, gap.from), gap.to - width))
    .sort((a, b) => Math.abs(a - start) - Math.abs(b - start));
  return spans[0] === undefined ? undefined : { from: spans[0], to: spans[0] + width };
}
