/** Same moment: every other pane goes to what stood there at the time of a message. Escape returns each pane to where it was, and nothing counts as read meanwhile. */

import { part } from "../dom/templates.js";
import { isComposing, isTextField } from "../dom/text_box.js";
import { JUMP_WAITS, momentWords } from "../model/strings.js";

/** @import {Workspace} from "../model/workspace.js" */

/** Where a pane was: at a message, so many pixels below the log's top; null at the newest message. @typedef {{seq: number, px: number} | null} Stand */
/** What is needed of a pane's log. @typedef {HTMLElement & {readonly stand: Stand, readonly isAtHead: boolean, elementOf: (seq: number) => HTMLElement | undefined, readonly messages: {seq: number}[], firstSince: (at: string) => {seq: number | undefined, isKnown: boolean}, scrollToSeq: (seq: number, px: number) => void, scrollToBottom: () => void}} Log */
/** What is needed of the row of panes. @typedef {{readonly all: {room: string, list: Log}[], get: (room: string) => {list: Log, dropTrouble: (sentence: string) => void} | undefined}} Panes */

const MINUTE_MS = 60_000;
/** The line keeps this far from the edges of the row of panes. */
const EDGE_PX = 90;
/** A log that stands this far above its end does not follow new messages, which belong below the line. */
const SPARE_PX = 20;
/** Between the words at the line and the edge of their pane. */
const GAP_PX = 4;

export class SameMoment {
  #line = part(document, "moment");
  #row = part(document, "panes");
  #panes;
  #workspace;
  #readTracker;
  /** Where the panes were, by room; null while this is off. @type {Map<string, Stand> | null} */
  #stands = null;
  /** The pane of the message, which is not moved. @type {string | null} */
  #source = null;
  #time = 0;
  #y = 0;
  /** The text field that had the focus. @type {HTMLElement | null} */
  #focus = null;

  /** @param {Panes} panes @param {{workspace: Workspace, readTracker: {pause: () => void, resume: () => void}}} page */
  constructor(panes, { workspace, readTracker }) {
    this.#panes = panes;
    this.#workspace = workspace;
    this.#readTracker = readTracker;
    for (const [name, act] of /** @type {const} */ ([
      ["earlier", () => this.#step(-1)],
      ["later", () => this.#step(1)],
      ["back", () => this.finish()],
    ])) {
      const button = part(this.#line, name);
      button.addEventListener("click", act);
      // A click leaves the focus where it is, so that the keys go on as before.
      button.addEventListener("mousedown", (event) => event.preventDefault());
    }
    // Before the logs hear them, in which the arrows move between messages.
    document.addEventListener("keydown", (event) => this.#keyPressed(event), { capture: true });
    // The line stays within the row, and all messages are brought to it again.
    addEventListener("resize", () => {
      if (!this.#stands) return;
      this.#source = null;
      this.#putLine(this.#y);
      this.#show();
    });
  }

  /** @param {string} room @param {{seq: number, at: string}} message */
  start(room, { seq, at }) {
    const list = this.#panes.get(room)?.list;
    if (!list) return;
    this.#stands ??= new Map();
    this.#readTracker.pause();
    this.#source = room;
    this.#time = Date.parse(at);
    this.#putLine(list.elementOf(seq)?.getBoundingClientRect().top ?? 0);
    this.#leaveTextField();
    this.#show();
  }

  /** @param {number} y in the window */
  #putLine(y) {
    const box = this.#row.getBoundingClientRect();
    this.#y = Math.min(Math.max(y, box.top + EDGE_PX), box.bottom - EDGE_PX);
  }

  /** In a text field the arrows move the caret, so the log beside it takes the keys meanwhile. */
  #leaveTextField() {
    const { activeElement } = document;
    if (!(activeElement instanceof HTMLElement) || !isTextField(activeElement)) return;
    const pane = this.#panes.all.find(({ list }) =>
      list.closest("room-pane")?.contains(activeElement),
    );
    if (!pane) return;
    this.#focus = activeElement;
    pane.list.focus({ preventScroll: true });
  }

  /** Give the focus back, unless the user has moved it to another place. */
  #returnFocus() {
    const pane = this.#focus?.closest("room-pane");
    const { activeElement } = document;
    const isAtLine = this.#line.contains(activeElement);
    if (isAtLine || activeElement === document.body || pane?.contains(activeElement)) {
      const place = this.#focus ?? (isAtLine ? this.#shown[0]?.list : undefined);
      place?.focus({ preventScroll: true });
    }
    this.#focus = null;
  }

  #show() {
    const main = /** @type {HTMLElement} */ (this.#line.parentElement);
    this.#line.hidden = false;
    this.#line.style.setProperty("--y", `${this.#y - main.getBoundingClientRect().top}px`);
    part(this.#line, "words").textContent = momentWords(this.#time);
    for (const pane of this.#shown) {
      // Also of a pane that was opened, or widened from a strip, meanwhile.
      if (!this.#stands?.has(pane.room)) this.#stands?.set(pane.room, pane.list.stand);
      if (pane.room !== this.#source) this.#move(pane);
    }
    this.#placeWords();
  }

  /** Put the words above or below the line, at the end of a pane, where they cover no text and no control, or as little as they can: of the last pane first. */
  #placeWords() {
    const handle = part(this.#line, "handle");
    const { width, height } = handle.getBoundingClientRect();
    const { left, top, right } = this.#line.getBoundingClientRect();
    const logs = this.#shown.map(({ list }) => list);
    const taken = logs.flatMap((log) => boxesNear(log, top - height, top + height + 1));
    const places = logs.flatMap((log) => {
      const x = log.getBoundingClientRect().right - width - GAP_PX;
      return [top + 1, top - height].map((y) => new DOMRect(x, y, width, height));
    });
    const [place] = places
      .filter((box) => box.left >= left && box.right <= right)
      .map((box) => ({ box, covered: taken.reduce((sum, other) => sum + overlap(box, other), 0) }))
      .toReversed()
      .sort((a, b) => a.covered - b.covered);
    handle.style.setProperty("--x", `${(place?.box.left ?? left) - left}px`);
    handle.style.setProperty("--top", `${(place?.box.top ?? top) - top}px`);
  }

  /** A strip shows no log, so it has no place to return to. */
  get #shown() {
    return this.#panes.all.filter(({ list }) => list.clientHeight > 0);
  }

  /** Bring the first message since the moment to the line. @param {{room: string, list: Log}} pane */
  #move({ room, list }) {
    const at = new Date(this.#time).toISOString();
    /** @param {number | undefined} first since the moment */
    const place = (first) => {
      this.#cancelJump(room);
      showSpace(list, 0, 0);
      const seq = first ?? list.messages.at(-1)?.seq;
      const row = list.elementOf(seq ?? -1);
      if (seq === undefined || !row) return list.scrollToBottom();
      const line = this.#y - list.getBoundingClientRect().top;
      // If there is nothing since, the line stands below the last message.
      const px = first === undefined ? line - row.offsetHeight : line;
      makeSpace(list, row, px);
      list.scrollToSeq(seq, px);
    };
    const { seq, isKnown } = list.firstSince(at);
    if (isKnown) return place(seq);
    const time = this.#time;
    this.#workspace.jump(room, { from: at }, ([first]) => {
      if (!this.#stands || this.#time !== time) return;
      place(first?.seq);
      this.#placeWords();
    });
  }

  /** A page that is still on its way would replace what is shown now. @param {string} room */
  #cancelJump(room) {
    this.#workspace.cancelJump(room);
    this.#panes.get(room)?.dropTrouble(JUMP_WAITS);
  }

  /** Return each pane to where it was. */
  finish() {
    const stands = this.#stands;
    if (!stands) return;
    this.#stands = this.#source = null;
    for (const [room, stand] of stands) {
      const list = this.#panes.get(room)?.list;
      if (!list) continue;
      showSpace(list, 0, 0);
      const isHeld = stand === null ? list.isAtHead : list.elementOf(stand.seq) !== undefined;
      const restore = () => {
        this.#cancelJump(room);
        if (stand === null) list.scrollToBottom();
        else list.scrollToSeq(stand.seq, stand.px);
      };
      if (isHeld) restore();
      else this.#workspace.jump(room, stand === null ? {} : { around: stand.seq }, restore);
    }
    this.#returnFocus();
    this.#line.hidden = true;
    // Nothing counts as read in a pane whose jump is still on its way.
    this.#readTracker.resume();
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const { key, target, altKey, ctrlKey, metaKey, shiftKey } = event;
    if (!this.#stands || altKey || ctrlKey || metaKey || shiftKey || isComposing(event)) return;
    if (document.querySelector("dialog:modal, .menu:popover-open")) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (key === "Escape") this.finish();
    else if (step !== undefined && !isTextField(target)) this.#step(step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} minutes */
  #step(minutes) {
    this.#time += minutes * MINUTE_MS;
    // The moment is the line's now, so the pane of the message moves too.
    this.#source = null;
    this.#show();
  }
}

/** Where texts and controls are seen in a log, between two heights in the window. @param {Log} log @param {number} top @param {number} bottom @returns {DOMRect[]} */
function boxesNear(log, top, bottom) {
  const rows = [...log.querySelectorAll("[data-part=messages] > *, [data-part=unsent] > *")].filter(
    (row) => {
      const box = row.getBoundingClientRect();
      return box.top < bottom && box.bottom > top;
    },
  );
  const range = document.createRange();
  return rows.flatMap((row) => {
    // A message's buttons are seen when it has the mouse or the focus.
    const hasButtons = row.matches(":hover, :focus-within");
    const boxes = [...row.querySelectorAll("button, a, img")]
      .filter((element) => hasButtons || !element.closest(".bar"))
      .map((element) => element.getBoundingClientRect());
    const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { currentNode } = texts;
      // Further messages of an author have the name and the time for screen readers alone.
      if (currentNode.parentElement?.closest(".visually-hidden, .message.more .by")) continue;
      range.selectNodeContents(currentNode);
      boxes.push(...range.getClientRects());
    }
    return boxes;
  });
}

/** How much of the window two boxes share, in square pixels. @param {DOMRect} a @param {DOMRect} b */
function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Make space beyond a log's ends if it could not be scrolled so far that a message stands at a place. @param {Log} list @param {HTMLElement} row @param {number} px the place, from the log's top */
function makeSpace(list, row, px) {
  const content = /** @type {HTMLElement} */ (row.closest(".content"));
  const below = content.getBoundingClientRect().bottom - row.getBoundingClientRect().top;
  const after = Math.max(0, list.clientHeight - px - below + SPARE_PX);
  // A log with few messages puts them at its bottom. Enough space before them makes it scroll, so that the distance from
  // the first message to this one is the real one.
  showSpace(list, px, after);
  const above = row.getBoundingClientRect().top - content.getBoundingClientRect().top - px;
  showSpace(list, Math.max(0, px - above), after);
}

/** @param {HTMLElement} list @param {number} before its first message, in pixels @param {number} after its last one */
function showSpace(list, before, after) {
  list.style.setProperty("--before-first", `${before}px`);
  list.style.setProperty("--after-last", `${after}px`);
}
