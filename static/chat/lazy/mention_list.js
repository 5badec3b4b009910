/** <mention-list>: the messages that mention the reader, newest first, each a button that opens it at its place. */

import { placeBeside } from "../dom/place.js";
import { nodesOf } from "../dom/sentence.js";
import { setAvatar } from "../dom/templates.js";
import { Dates } from "../model/dates.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";
import { authorWords, NO_MENTIONS, OFFLINE } from "../model/strings.js";

/** @import {MentionsFrame, Posted} from "../model/protocol.js" */

/** What the list needs of the page. @typedef {{load: (before: number | undefined) => Promise<MentionsFrame | null>, titleOf: (room: string) => string, open: (room: string, seq: number) => void}} Source */

/** The most characters of a message that are shown. */
const MAX_TEXT = 280;

export class MentionList extends HTMLElement {
  #list = document.createElement("ul");
  #status = document.createElement("p");
  #older = document.createElement("button");
  /** @type {Source | null} */
  #source = null;
  /** @type {HTMLElement | null} */
  #anchor = null;
  /** @type {number | undefined} */
  #next;
  /** Counts the questions, so that an answer to an earlier one is not shown. */
  #opening = 0;

  /** @param {Source} source */
  configure(source) {
    this.#source = source;
    this.popover = "auto";
    this.role = "dialog";
    this.ariaLabel = gettext("Mentions");
    this.tabIndex = -1;
    const heading = document.createElement("h2");
    heading.textContent = this.ariaLabel;
    this.#status.role = "status";
    this.#older.type = "button";
    this.#older.textContent = gettext("Show older");
    this.append(heading, this.#list, this.#status, this.#older);
    this.#older.addEventListener("click", () => this.#load());
    this.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.#anchor?.setAttribute("aria-expanded", String(isOpen));
    });
  }

  /** @param {HTMLElement} anchor the button that opens it */
  open(anchor) {
    this.#anchor = anchor;
    this.#next = undefined;
    this.#list.replaceChildren();
    this.#older.hidden = true;
    this.showPopover();
    placeBeside(this, anchor.getBoundingClientRect());
    this.focus();
    this.#load();
  }

  /** Close the list and forget what it shows. */
  clear() {
    this.#opening += 1;
    this.#list.replaceChildren();
    this.hidePopover();
  }

  async #load() {
    // Only the newest answer counts, also when the button was pressed twice.
    this.#opening += 1;
    const opening = this.#opening;
    this.#status.textContent = gettext("Loading…");
    const page = (await this.#source?.load(this.#next)) ?? null;
    if (opening !== this.#opening) return;
    if (page === null) {
      this.#status.textContent = OFFLINE;
      this.#older.hidden = false;
      return;
    }
    const dates = new Dates({ clock: document.documentElement.dataset.clock ?? "" });
    const hadFocus = document.activeElement === this.#older;
    const items = page.mentioned.map((message) => this.#item(message, dates));
    this.#list.append(...items);
    this.#next = page.next;
    this.#older.hidden = page.next === undefined;
    this.#status.textContent = this.#list.childElementCount === 0 ? NO_MENTIONS : "";
    if (hadFocus) items[0]?.querySelector("button")?.focus();
  }

  /** @param {Posted} mentioned @param {Dates} dates */
  #item(mentioned, dates) {
    const { room, seq, username, message, at } = mentioned;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const avatar = document.createElement("span");
    avatar.className = "avatar";
    avatar.ariaHidden = "true";
    setAvatar(avatar, username, username, shownNames.pictureOf(username, mentioned.user));
    const by = document.createElement("span");
    by.className = "by";
    const author = document.createElement("bdi");
    author.textContent = authorWords(mentioned);
    const where = document.createElement("bdi");
    where.textContent = this.#source?.titleOf(room) ?? "";
    const time = document.createElement("time");
    time.dateTime = at;
    time.textContent = `${dates.dayLabel(at, Date.now())}, ${dates.time(at)}`;
    const sentence = gettext("{author} in {room} {time}");
    by.append(...nodesOf(sentence, { author: [author], room: [where], time: [time] }));
    const text = document.createElement("span");
    text.className = "text";
    text.dir = "auto";
    const whole = message ?? "";
    text.textContent = whole.length > MAX_TEXT ? `${whole.slice(0, MAX_TEXT)}…` : whole;
    button.append(avatar, by, text);
    button.addEventListener("click", () => {
      this.hidePopover();
      this.#source?.open(room, seq);
    });
    item.append(button);
    return item;
  }

  /** @param {KeyboardEvent} event */
  #moveFocus(event) {
    const buttons = [...this.querySelectorAll("button:not([hidden])")];
    const current = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: buttons.length - 1 }[
      event.key
    ];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const button = buttons[Math.max(0, Math.min(next, buttons.length - 1))];
    if (button instanceof HTMLElement) button.focus();
  }
}
