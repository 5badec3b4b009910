/** Shows what a message quotes, and links to messages of this site, as chips that bring the message into view in its own pane. */

import { part, setHue, setText, showName } from "../dom/templates.js";
import { HIDDEN_SOURCE, NO_SOURCE } from "../model/carry_strings.js";
import { Dates } from "../model/dates.js";
import { isolate } from "../model/language.js";
import { Quotes } from "../model/quotes.js";
import { authorWords, deletedWords } from "../model/strings.js";

/** @import {Send} from "../model/outbox.js" */
/** @import {ErrorFrame, HeadsFrame, QuotedFrame, Room, Source} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */

/** @typedef {{rooms: () => Map<string, Room>, isOpen: (room: string) => boolean, ask: Send, open: (source: Source) => void}} QuotePage */
/** The log that a chip is in. @typedef {{elementOf: (seq: number) => HTMLElement | undefined, keepStill: (change: () => void) => void, followBottom: () => void}} Log */
/** `isLink`: a link in a text, which is one line. @typedef {{element: HTMLElement, source: Source, log: Log | null, isLink: boolean}} Chip */

/** The most characters of a message that are shown. */
const MAX_TEXT = 280;
const MAX_LINK_TEXT = 60;
/** After news in a room that is not open, its quoted messages are asked for again, at most once in this time. */
const REFRESH_AFTER_MS = 1_500;
const RETRY_AFTER_S = 2;
/** Each time that so many chips are held, those that left the page are forgotten. */
const MANY_CHIPS = 200;

export class QuoteView {
  #page;
  #quotes;
  /** @type {Set<Chip>} */
  #chips = new Set();
  /** Rooms whose quoted messages are asked for again soon. @type {Set<string>} */
  #due = new Set();
  /** The head of each room, as far as it is known. @type {Map<string, number>} */
  #heads = new Map();

  /** @param {QuotePage} page */
  constructor(page) {
    this.#page = page;
    this.#quotes = new Quotes(page.ask);
    this.#quotes.onchange = (room, seqs) => this.#update(room, new Set(seqs));
  }

  /** Show what a message quotes, and the messages to which it links. @param {Log} log @param {HTMLElement} element @param {Message} message */
  showMessage(log, element, message) {
    if (log.elementOf(message.seq) !== element) return; // it was removed while this was loaded
    log.keepStill(() => this.#showMessage(log, element, message));
    log.followBottom();
  }

  /** @param {Log} log @param {HTMLElement} element @param {Message} message */
  #showMessage(log, element, { source, deleted, text }) {
    const shown = element.querySelector(".quote");
    if (deleted || !source) shown?.remove();
    else if (!shown) part(element, "text").parentElement?.before(this.chipOf(source, log));
    element.classList.toggle("only-quote", Boolean(source && text === linkTo(source)));
    if (deleted) return;
    for (const link of part(element, "text").querySelectorAll("a")) {
      const target = link.dataset.message === undefined ? sourceOf(link.href) : null;
      if (target) this.#showLink(link, target, log);
    }
  }

  /** A chip that shows a message. @param {Source} source @param {Log | null} log */
  chipOf(source, log) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "quote";
    element.tabIndex = log ? -1 : 0;
    for (const name of ["hue", "head", "text"]) {
      const span = document.createElement("span");
      span.className = name;
      span.dir = name === "hue" ? "" : "auto";
      element.append(span);
    }
    element.addEventListener("click", () => this.#page.open(source));
    this.#add({ element, source, log, isLink: false });
    return element;
  }

  /** @param {HTMLAnchorElement} link @param {Source} source @param {Log} log */
  #showLink(link, source, log) {
    link.dataset.message = `${source.room}.${source.seq}`;
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || !this.#page.rooms().has(source.room))
        return;
      event.preventDefault();
      this.#page.open(source);
    });
    // A link that has a text of its own keeps it.
    const isBare = link.dataset.typed !== undefined || sourceOf(link.textContent ?? "") !== null;
    if (!isBare) return;
    link.dataset.typed ??= link.textContent ?? "";
    link.removeAttribute("aria-label");
    link.classList.add("to-message");
    this.#add({ element: link, source, log, isLink: true });
  }

  /** @param {Chip} chip */
  #add(chip) {
    if (this.#chips.size % MANY_CHIPS === MANY_CHIPS - 1) this.#update("");
    this.#chips.add(chip);
    showName(chip.element, () => this.#fill(chip));
  }

  /** @param {Chip} chip */
  #fill({ element, source: { room, seq }, isLink }) {
    const known = this.#page.rooms().get(room);
    const message = known && this.#quotes.messageOf(room, seq);
    if (known && message === undefined && element.dataset.state === "shown") return; // it is asked for again
    element.dataset.state = message === undefined && known ? "asked" : message ? "shown" : "none";
    element.classList.toggle("closed", !known);
    if (element instanceof HTMLButtonElement) element.disabled = !known;
    setHue(element, room);
    const deleted = message?.deleted || message?.message === null;
    const text = !known
      ? HIDDEN_SOURCE
      : message === null
        ? NO_SOURCE
        : deleted
          ? deletedWords(1)
          : (message?.message ?? "…");
    const author = message ? authorWords(message) : "";
    if (isLink) {
      const short = text.length > MAX_LINK_TEXT ? `${text.slice(0, MAX_LINK_TEXT)}…` : text;
      const by = author && !deleted ? `${isolate(author)}: ` : "";
      return setText(
        element,
        known ? `${isolate(known.title)} · ${by}${isolate(short)}` : HIDDEN_SOURCE,
      );
    }
    const [, head, body] = /** @type {HTMLElement[]} */ ([...element.children]);
    const time = message ? timeOf(message.at) : "";
    const parts = known ? [known.title, author, time].filter(Boolean) : [];
    if (head) setText(head, parts.map(isolate).join(" · "));
    if (body) setText(body, text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);
    body?.classList.toggle("quiet", !message || Boolean(deleted));
  }

  /** @param {string | null} room null: all @param {Set<number>} [seqs] */
  #update(room, seqs) {
    const logs = new Map();
    for (const chip of this.#chips) {
      if (!chip.element.isConnected) this.#chips.delete(chip);
      else if (room === null || (chip.source.room === room && (!seqs || seqs.has(chip.source.seq))))
        logs.set(chip.log, [...(logs.get(chip.log) ?? []), chip]);
    }
    for (const [log, chips] of logs) {
      const fill = () => {
        for (const chip of chips) this.#fill(chip);
      };
      if (!log) fill();
      else log.keepStill(fill);
      log?.followBottom();
    }
  }

  /** A message of an open room was posted or changed. @param {string} room @param {number} seq */
  messageChanged(room, seq) {
    for (const { source } of this.#chips)
      if (source.room === room && source.seq === seq) {
        this.#quotes.forget(room, seq);
        return this.#update(room, new Set([seq]));
      }
  }

  /** There is news in rooms, perhaps that a quoted message was edited or deleted. @param {HeadsFrame["heads"]} heads */
  headsReceived(heads) {
    for (const { source } of this.#chips) {
      const { room } = source;
      const head = heads[room]?.head;
      // The events of an open room say which message has changed.
      if (head === undefined || head === this.#heads.get(room) || this.#page.isOpen(room)) continue;
      this.#heads.set(room, head);
      if (this.#due.has(room)) continue;
      this.#due.add(room);
      setTimeout(() => {
        this.#due.delete(room);
        this.refresh(room);
      }, REFRESH_AFTER_MS);
    }
  }

  /** @param {string} room */
  refresh(room) {
    for (const { source } of this.#chips)
      if (source.room === room) this.#quotes.forget(room, source.seq);
    this.#update(room);
  }

  /** Rooms were closed to the reader, or renamed: show nothing of rooms that they may not enter. */
  roomsChanged() {
    for (const { source } of this.#chips)
      if (!this.#page.rooms().has(source.room)) this.#quotes.forget(source.room, source.seq);
    this.#update(null);
  }

  /** @param {QuotedFrame} frame */
  quotesReceived(frame) {
    this.#quotes.applyFrame(frame);
  }

  /** @param {ErrorFrame} frame @param {boolean} isTransient */
  refused({ room, retry_after }, isTransient) {
    if (isTransient)
      setTimeout(() => this.#quotes.connected(), (retry_after ?? RETRY_AFTER_S) * 1000);
    else if (room !== undefined) this.#quotes.refused(room);
  }

  /** Messages may have changed while there was no connection. */
  connected() {
    this.#quotes.connected();
    for (const room of new Set([...this.#chips].map(({ source }) => source.room)))
      this.refresh(room);
  }
}

/** @param {string} at */
function timeOf(at) {
  const dates = new Dates();
  return dates.day(at) === dates.day(Date.now()) ? dates.time(at) : dates.stamp(at);
}

/** The address of a message. @param {Source} source */
export function linkTo({ room, seq }) {
  return new URL(`/?rooms=${room}&at=${room}.${seq}`, location.href).href;
}

/** The message to which an address of this site leads. @param {string} address @returns {Source | null} */
function sourceOf(address) {
  if (!URL.canParse(address)) return null;
  const { origin, pathname, searchParams } = new URL(address);
  const [, room, seq] = /^(\d{1,15})\.(\d{1,15})$/.exec(searchParams.get("at") ?? "") ?? [];
  if (origin !== location.origin || pathname !== "/" || !room) return null;
  return { room, seq: Number(seq) };
}
