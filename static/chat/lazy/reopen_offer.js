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
    const words = closedWords(title);
    setLine(part(offer, "closed"), words);
    const button = part(offer, "reopen-button");
    button.title = words;
    button.addEventListener("click", () => {
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

  /** Put the offer near the place of the closed pane, where it covers nothing that is read or used: whole or as its button alone between what the heads of panes show, otherwise in a line of its own above them. */
  #place() {
    const offer = this.#box.firstElementChild;
    const main = this.#box.parentElement?.getBoundingClientRect();
    if (!(offer instanceof HTMLElement) || !main) return;
    this.#box.classList.remove("line");
    const heads = [...this.#row.querySelectorAll(".pane-head")];
    const around = [...heads, this.#row, part(document, "none-open")].find((element) =>
      element.checkVisibility(),
    );
    const band = around?.getBoundingClientRect() ?? main;
    for (const isShort of [false, true]) {
      this.#box.classList.toggle("short", isShort);
      const { width, height } = offer.getBoundingClientRect();
      const y = band.top + Math.min(band.height / 2, height) - height / 2;
      const taken = [...this.#row.querySelectorAll(".pane-head > *, .open-strip")]
        .map(boxOf)
        .filter((box) => box.width && box.top < y + height && box.bottom > y);
      const x = placeFor(width, this.#x, gapsBetween(taken, main));
      if (x === undefined) continue;
      this.#box.style.setProperty("--x", `${x - main.left}px`);
      this.#box.style.setProperty("--y", `${y - main.top}px`);
      return;
    }
    this.#box.classList.replace("short", "line");
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

/** Where an element is seen. A heading or a topic may be shorter than its box, or longer. @param {Element} element */
function boxOf(element) {
  const box = element.getBoundingClientRect();
  if (!element.matches("h2, .topic")) return box;
  const range = document.createRange();
  range.selectNodeContents(element);
  const words = range.getBoundingClientRect();
  const left = Math.max(box.left, words.left);
  return new DOMRect(left, box.top, Math.min(box.right, words.right) - left, box.height);
}

/** @param {DOMRect[]} boxes @param {DOMRect} around @returns {Span[]} what is free beside the boxes */
function gapsBetween(boxes, around) {
  /** @type {Span[]} */
  const gaps = [];
  let from = around.left + MARGIN;
  for (const { left, right } of boxes.toSorted((a, b) => a.left - b.left)) {
    gaps.push({ from, to: Math.min(left, around.right) - MARGIN });
    from = Math.max(from, right + MARGIN);
  }
  return [...gaps, { from, to: around.right - MARGIN }];
}

/** @param {number} width @param {number} x @param {Span[]} gaps @returns {number | undefined} where something of this width begins that is in a gap and has its middle as near to x as it can be */
function placeFor(width, x, gaps) {
  const start = x - width / 2;
  return gaps
    .filter(({ from, to }) => to - from >= width)
    .map(({ from, to }) => Math.min(Math.max(start, from), to - width))
    .sort((a, b) => Math.abs(a - start) - Math.abs(b - start))[0];
}
