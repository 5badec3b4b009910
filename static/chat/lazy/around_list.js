/** <around-list>: the people who are around, each a button that opens the direct room with them. */

import { ask } from "../dom/ask.js";
import { placeBeside } from "../dom/place.js";
import { nodesOf } from "../dom/sentence.js";
import { setAvatar } from "../dom/templates.js";
import { Dates } from "../model/dates.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";

/** What the list needs of the page. @typedef {{titleOf: (room: string) => string | undefined, open: (username: string) => Promise<void>}} AroundSource */
/** A person, since when they are around, and the reader's rooms where they are. @typedef {{username: string, name: string, since: string, rooms: string[]}} Person */

export class AroundList extends HTMLElement {
  #list = document.createElement("ul");
  #status = document.createElement("p");
  /** @type {AroundSource | null} */
  #source = null;
  /** @type {HTMLElement | null} */
  #anchor = null;
  /** Counts the questions, so that an answer to an earlier one is not shown. */
  #opening = 0;

  /** @param {AroundSource} source */
  configure(source) {
    this.#source = source;
    this.popover = "auto";
    this.role = "dialog";
    this.ariaLabel = gettext("People around");
    this.tabIndex = -1;
    const heading = document.createElement("h2");
    heading.textContent = this.ariaLabel;
    this.#status.role = "status";
    this.append(heading, this.#list, this.#status);
    this.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.#anchor?.setAttribute("aria-expanded", String(isOpen));
    });
  }

  /** @param {HTMLElement} anchor the button that opens it */
  async open(anchor) {
    this.#anchor = anchor;
    this.#opening += 1;
    const opening = this.#opening;
    this.#list.replaceChildren();
    this.#status.textContent = gettext("Loading…");
    this.showPopover();
    this.focus();
    placeBeside(this, anchor.getBoundingClientRect());
    /** @type {{people: Person[], more: boolean} | string} */
    const answer = await ask("/people/around/");
    if (opening !== this.#opening) return;
    if (typeof answer === "string") {
      this.#status.textContent = answer;
      return;
    }
    const dates = new Dates({ clock: document.documentElement.dataset.clock ?? "" });
    this.#list.replaceChildren(...answer.people.map((person) => this.#item(person, dates)));
    this.#status.textContent =
      answer.people.length === 0
        ? gettext("No other people are here.")
        : answer.more
          ? gettext("And more.")
          : "";
    placeBeside(this, anchor.getBoundingClientRect());
  }

  /** Close the list and forget what it shows. */
  clear() {
    this.#opening += 1;
    this.#list.replaceChildren();
    this.hidePopover();
  }

  /** @param {Person} person @param {Dates} dates */
  #item({ username, name, since, rooms }, dates) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.title = username;
    const avatar = document.createElement("span");
    avatar.className = "avatar";
    avatar.ariaHidden = "true";
    setAvatar(avatar, username, name || username, shownNames.pictureOf(username));
    const who = document.createElement("bdi");
    who.textContent = name || username;
    const where = document.createElement("span");
    where.className = "where";
    const time = document.createElement("time");
    time.dateTime = since;
    time.textContent = dates.time(since);
    const titles = rooms.flatMap((room) => this.#source?.titleOf(room) ?? []);
    const sentence = titles.length ? gettext("since {time} in {rooms}") : gettext("since {time}");
    where.append(...nodesOf(sentence, { time: [time], rooms: titles.flatMap(listed) }));
    button.append(avatar, who, where);
    button.addEventListener("click", () => {
      this.hidePopover();
      void this.#source?.open(username);
    });
    item.append(button);
    return item;
  }
}

/** An item of a list of titles, with what separates it from the one before. @param {string} title @param {number} index */
function listed(title, index) {
  const room = document.createElement("bdi");
  room.textContent = title;
  return index ? [", ", room] : [room];
}

/** @param {AroundSource} source */
export function createAroundList(source) {
  customElements.define("around-list", AroundList);
  const list = new AroundList();
  list.configure(source);
  document.body.append(list);
  return list;
}
