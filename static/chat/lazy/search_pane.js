/** The region "Search results" beside the panes. The arrows walk the hits, and each hit's room shows it in its pane. */

import { glideFromHere } from "../dom/glide.js";
import { copyElement, part, setHue, setText, showName } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { Dates } from "../model/dates.js";
import { gettext } from "../model/language.js";
import { excerpt, markHits, search, termsOf } from "../model/search.js";
import { authorWords, resultsWords } from "../model/strings.js";

/** @import {Event, Posted, Room} from "../model/protocol.js" */

/** `show` brings the message into view in its room's pane; with `isFinal` the focus goes there too. @typedef {{roomOf: (room: string) => Room | undefined, show: (room: Room, seq: number, isFinal: boolean) => void, isPhone: () => boolean, begin: () => void}} SearchActions */

const EXCERPT = 300;
const SHOW_AFTER_MS = 150;

export class SearchPane {
  #row;
  #actions;
  #query = "";
  /** @type {HTMLElement | null} */
  #pane = null;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {string | null} */
  #cursor = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The names of a hit's files. @type {WeakMap<HTMLElement, string[]>} */
  #fileNames = new WeakMap();
  /** Where the focus goes when the results are closed. @type {Element | null} */
  #cameFrom = null;

  /** @param {HTMLElement} row where the panes stand @param {SearchActions} actions */
  constructor(row, actions) {
    this.#row = row;
    this.#actions = actions;
  }

  /** Show the newest messages that match. @param {string} query */
  open(query) {
    this.#actions.begin();
    const pane = this.#pane ?? this.#create();
    this.#query = query;
    const shown = part(pane, "query");
    shown.textContent = query;
    shown.title = query; // it may be cut in a narrow window
    part(pane, "hits").replaceChildren();
    pane.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#load(null);
  }

  close() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    if (!this.#pane) return;
    const hadFocus = this.#pane.contains(document.activeElement);
    glideFromHere(this.#row, () => this.#moved());
    this.#pane.remove();
    this.#pane = null;
    if (hadFocus && this.#cameFrom instanceof HTMLElement && this.#cameFrom.isConnected)
      this.#cameFrom.focus({ preventScroll: true });
  }

  /** Other panes are in view. For those who watch this, that is as if the row was scrolled. */
  #moved() {
    this.#row.dispatchEvent(new Event("scroll"));
  }

  /** The reader may not see this room any more. @param {string} room */
  removeRoom(room) {
    this.#remove(this.#hitsOf(room));
  }

  /** The messages below this number have expired. @param {string} room @param {number} floor */
  removeBefore(room, floor) {
    this.#remove(this.#hitsOf(room).filter(({ dataset }) => Number(dataset.seq) < floor));
  }

  /** A hit that was deleted goes, and one that was edited shows its new text. @param {string} room @param {Event} event */
  eventApplied(room, event) {
    const seq = "deleted" in event ? event.deleted : "edited" in event ? event.edited : undefined;
    const hit = this.#hitsOf(room).find(({ dataset }) => dataset.seq === String(seq));
    if (!hit) return;
    if ("deleted" in event) this.#remove([hit]);
    else if ("edited" in event && "message" in event && event.message !== null)
      this.#showText(hit, event.message, this.#fileNames.get(hit) ?? []);
  }

  /** @param {HTMLElement[]} hits */
  #remove(hits) {
    const pane = this.#pane;
    if (!pane || !hits.length) return;
    // The reader who walks the hits goes on at the next one.
    const focused = hits.find((hit) => hit.contains(document.activeElement));
    const next = focused?.nextElementSibling ?? focused?.previousElementSibling;
    if (focused) clearTimeout(this.#timer);
    for (const hit of hits) hit.remove();
    if (focused) (next?.querySelector("button") ?? part(pane, "close")).focus();
    const count = part(pane, "hits").children.length;
    setText(part(pane, "state"), resultsWords(count, !part(pane, "more").hidden));
  }

  /** @param {string} room @returns {HTMLElement[]} */
  #hitsOf(room) {
    return [...(this.#pane?.querySelectorAll(`[data-room="${CSS.escape(room)}"]`) ?? [])].filter(
      (hit) => hit instanceof HTMLElement,
    );
  }

  #create() {
    const pane = copyElement("search-template");
    this.#cameFrom = document.activeElement;
    part(pane, "close").addEventListener("click", () => this.close());
    part(pane, "sort").addEventListener("change", () => this.open(this.#query));
    part(pane, "more").addEventListener("click", () => this.#load(this.#cursor));
    pane.addEventListener("keydown", (event) => this.#keyPressed(event));
    this.#row.prepend(pane);
    this.#pane = pane;
    this.#moved();
    return pane;
  }

  /** @param {string | null} before */
  async #load(before) {
    const pane = this.#pane;
    if (!pane) return;
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    setText(part(pane, "state"), gettext("Searching…"));
    const sort = /** @type {HTMLSelectElement} */ (part(pane, "sort")).value;
    const answer = await search(this.#query, { sort, before, signal: running.signal });
    if (running.signal.aborted) return;
    const hits = part(pane, "hits");
    // The page's list has no archived rooms. Another room that it does not have was closed to the reader since.
    const archived = new Map(
      answer.rooms.filter((room) => room.archived).map((room) => [room.id, room]),
    );
    const shown = answer.results.flatMap((message) => {
      const room = this.#actions.roomOf(message.room) ?? archived.get(message.room);
      return room && message.message !== null ? [this.#hit(message, room)] : [];
    });
    hits.append(...shown);
    this.#cursor = answer.cursor;
    part(pane, "more").hidden = answer.cursor === null;
    const count = hits.children.length;
    setText(part(pane, "state"), answer.trouble || resultsWords(count, answer.cursor !== null));
    if (before !== null || pane.contains(document.activeElement))
      shown[0]?.querySelector("button")?.focus();
    else if (this.#isFocusFree())
      (shown[0]?.querySelector("button") ?? part(pane, "close")).focus();
  }

  /** The results take the focus only if the user is not typing elsewhere meanwhile. */
  #isFocusFree() {
    const { activeElement } = document;
    return (
      !(activeElement instanceof HTMLTextAreaElement) &&
      !(activeElement instanceof HTMLInputElement && activeElement.value !== "")
    );
  }

  /** @param {Posted} found @param {Room} room */
  #hit(found, room) {
    const { seq, message, at } = found;
    const item = copyElement("hit-template");
    const button = /** @type {HTMLElement} */ (item.firstElementChild);
    setHue(part(item, "hue"), room.id);
    part(item, "room").textContent = room.title;
    const time = /** @type {HTMLTimeElement} */ (part(item, "time"));
    time.dateTime = at;
    // Called again when names or the time zone have changed.
    showName(item, () => {
      const dates = new Dates({ clock: document.documentElement.dataset.clock ?? "" });
      part(item, "author").textContent = authorWords(found);
      time.textContent = dates.dayLabel(at, Date.now());
      time.title = dates.full(at);
    });
    item.dataset.room = room.id;
    item.dataset.seq = String(seq);
    // The word may stand in the name of a file.
    const names = (found.files ?? []).map(({ name }) => name);
    this.#fileNames.set(item, names);
    this.#showText(item, message ?? "", names);
    button.addEventListener("click", () => this.#show(button, room, seq, true));
    button.addEventListener("focus", () => {
      clearTimeout(this.#timer);
      if (button.hasAttribute("aria-current")) return;
      // Keys that repeat pass over many hits. Only the one that they stop at is shown.
      this.#timer = setTimeout(() => this.#show(button, room, seq, false), SHOW_AFTER_MS);
    });
    return item;
  }

  /** @param {HTMLElement} hit @param {string} text @param {string[]} fileNames shown behind it, unless it has them */
  #showText(hit, text, fileNames) {
    const terms = termsOf(this.#query);
    const others = fileNames.filter((name) => !text.includes(name));
    const parts = [excerpt(text, terms, EXCERPT), ...others].filter(Boolean);
    part(hit, "text").replaceChildren(...markHits(parts.join(" · "), terms).map(partElement));
  }

  /** @param {HTMLElement} button @param {Room} room @param {number} seq @param {boolean} isFinal */
  #show(button, room, seq, isFinal) {
    clearTimeout(this.#timer);
    for (const other of this.#pane?.querySelectorAll("[aria-current]") ?? [])
      other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    if (this.#actions.isPhone()) {
      if (!isFinal) return; // the results cover the panes
      this.close();
    }
    this.#actions.show(room, seq, isFinal);
    // Opening a pane moves the focus into it, but the arrows go on walking the hits.
    if (!isFinal) button.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    if (isComposing(event)) return;
    if (event.key === "Escape" && !event.defaultPrevented) {
      event.preventDefault();
      return this.close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const hits = [...(this.#pane?.querySelectorAll(".hit") ?? [])];
    const index = hits.indexOf(/** @type {Element} */ (document.activeElement));
    if (step === undefined || index < 0) return;
    event.preventDefault();
    /** @type {HTMLElement | undefined} */ (hits[index + step])?.focus();
  }
}

/** @param {{text: string, isHit: boolean}} hit */
function partElement({ text, isHit }) {
  if (!isHit) return document.createTextNode(text);
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}
