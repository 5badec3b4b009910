/** Offers for some seconds to open a room again that the user closed, at the place where its pane was. */

import { copyElement, part } from "../dom/templates.js";
import { closedWords } from "../model/strings.js";

/** @import {Layout} from "../model/layout.js" */
/** @import {Shape} from "../model/protocol.js" */

/** What is needed of the row of panes. @typedef {{layout: Layout, get: (room: string) => unknown, placeBefore: (room: string, next: string) => void}} Panes */

/** A pane when it was closed: `box` in the window, `order` of all panes. @typedef {{id: string, box: DOMRect, order: string[], isWide: boolean, shape: Shape | undefined, isPhone: boolean}} Closed */

const OFFER_MS = 8_000;
const MARGIN = 8;

export class ReopenOffer {
  #box;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {HTMLElement} box over the row of panes */
  constructor(box) {
    this.#box = box;
  }

  /**
   * Show the offer, in place of an earlier one.
   * @param {string} title
   * @param {Closed} was
   * @param {() => void} reopen
   */
  show(title, { id, box, order, isPhone }, reopen) {
    // The middle of the gap that the pane left.
    const x = isPhone || id === order.at(-1) ? box.left + box.width / 2 : box.left;
    const offer = copyElement("reopen-template");
    part(offer, "closed").textContent = closedWords(title);
    part(offer, "reopen-button").addEventListener("click", () => {
      this.hide();
      reopen();
    });
    this.#box.replaceChildren(offer);
    const { left, width } = /** @type {HTMLElement} */ (
      this.#box.parentElement
    ).getBoundingClientRect();
    const most = Math.max(MARGIN, width - offer.offsetWidth - MARGIN);
    const start = Math.min(Math.max(x - left - offer.offsetWidth / 2, MARGIN), most);
    this.#box.style.setProperty("--x", `${start}px`);
    this.#hideLater();
  }

  /**
   * Put a pane that was opened again where it was: before the pane that followed it, and below the one above it.
   * @param {Panes} panes
   * @param {Closed} was
   */
  putBack(panes, { id: room, order, isWide, shape }) {
    const { layout } = panes;
    const index = order.indexOf(room);
    const [previous, next] = [order[index - 1], order.slice(index + 1)];
    const follower = next.find((id) => panes.get(id) && !layout.shapes[id]?.below);
    if (follower !== undefined) panes.placeBefore(room, follower);
    if (isWide) layout.wide = room;
    const isUnder = layout.order[layout.order.indexOf(room) - 1] === previous;
    layout.changeShape(room, { ...shape, below: shape?.below === true && isUnder });
  }

  hide() {
    clearTimeout(this.#timer);
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
