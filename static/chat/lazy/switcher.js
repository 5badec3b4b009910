/** The box "Find or jump" above the list: finds rooms and people while the user types, and opens the chosen one. */

import { ask } from "../dom/ask.js";
import { copyElement, part, setHue } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { findRoom } from "../model/find_room.js";
import { gettext } from "../model/language.js";
import { bestMatches, foldText, withoutSign } from "../model/match.js";
import { countsWords } from "../model/strings.js";

/** @import {Room} from "../model/protocol.js" */
/** @import {Counts} from "../model/strings.js" */

/** A room that can be chosen. @typedef {{room: string, title: string, isOpen: boolean, counts: Counts}} Candidate */
/** What the list offers for a typed text. `label` is its text. @typedef {{id: string, label: string, mark?: string, hue?: string, act: () => void}} Option */
/**
 * `goToRoom`: to a room that may be new; `openDirect`: the direct room with a person; `moreOptions`: after rooms and people.
 * @typedef {{candidates: () => Iterable<Candidate & {isDirect: boolean}>, rooms: () => Iterable<Room>, open: (room: string) => void, goToRoom: (room: Room, isFocused: boolean) => void, openDirect: (name: string) => void, moreOptions: (typed: string) => Option[]}} SwitcherActions
 */

const MOST_OPTIONS = 12;
const MOST_PEOPLE = 5;
const ASK_AFTER_MS = 150;

export class Switcher {
  #form;
  #box;
  #list;
  #actions;
  /** @type {Option[]} */
  #options = [];
  #active = 0;
  /** Where the focus was before it came here. @type {Element | null} */
  #cameFrom = null;
  /** The people whose names begin like a typed text. @type {{typed: string, names: string[]}} */
  #people = { typed: "", names: [] };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {HTMLFormElement} form @param {SwitcherActions} actions */
  constructor(form, actions) {
    this.#form = form;
    this.#box = /** @type {HTMLInputElement} */ (part(form, "name"));
    this.#list = part(form, "found");
    this.#actions = actions;
    this.#box.addEventListener("focus", ({ relatedTarget }) => {
      if (!form.contains(/** @type {Node | null} */ (relatedTarget)))
        this.#cameFrom = /** @type {Element | null} */ (relatedTarget);
    });
    this.#box.addEventListener("blur", () => this.#close());
    this.#box.addEventListener("click", () => this.#update());
    this.#box.addEventListener("input", () => {
      this.#showTrouble("");
      this.#update();
    });
    this.#box.addEventListener("keydown", (event) => {
      if (!isComposing(event) && this.#keyPressed(event.key)) event.preventDefault();
    });
    // The box keeps the focus while an option is clicked.
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest("[role=option]") : null;
      const index = [...this.#list.children].indexOf(/** @type {Element} */ (option));
      if (index >= 0) this.#choose(index);
    });
  }

  /** The box has the focus since before this was loaded. @param {Element | null} cameFrom where the focus was before */
  begin(cameFrom) {
    this.#cameFrom ??= cameFrom;
    if (document.activeElement === this.#box) this.#update();
  }

  get #isOpen() {
    return !this.#list.hidden;
  }

  /** The user pressed the key for it. Again, it goes back. */
  open() {
    if (document.activeElement === this.#box && this.#isOpen) return this.#goBack();
    this.#form.classList.add("finding");
    const from = document.activeElement;
    this.#box.focus();
    this.#box.select();
    if (from !== this.#box) this.#cameFrom = from === document.body ? null : from;
    this.#update();
  }

  #update() {
    const typed = this.#box.value.trim();
    clearTimeout(this.#timer);
    // A `#` begins the name of a room.
    if (typed !== "" && typed === withoutSign(typed) && typed !== this.#people.typed)
      this.#timer = setTimeout(() => this.#findPeople(typed), ASK_AFTER_MS);
    // Without a matching room, Enter asks the server for one of this title. The arrows reach the other options.
    this.#activate(this.#show(typed) ? 0 : -1);
  }

  /** Show what matches. @param {string} typed @returns {boolean} whether Enter may choose the first option */
  #show(typed) {
    const candidates = [...this.#actions.candidates()];
    const rooms = bestMatches(sorted(candidates, typed), typed, MOST_OPTIONS);
    const known = new Set(candidates.filter(({ isDirect }) => isDirect).map(({ title }) => title));
    const people = this.#people.names
      .filter((name) => !known.has(name) && foldText(name).startsWith(foldText(typed)))
      .slice(0, typed === "" ? 0 : MOST_PEOPLE);
    this.#options = [
      ...rooms.map((candidate) => this.#optionOf(candidate)),
      ...people.map((name) => this.#personOption(name)),
      ...this.#actions.moreOptions(typed),
    ];
    this.#list.replaceChildren(...this.#options.map(optionElement));
    this.#list.hidden = this.#options.length === 0;
    this.#box.ariaExpanded = String(this.#isOpen);
    return rooms.length > 0 || foldText(people[0] ?? "") === foldText(typed);
  }

  /** The names come late. An option that the user has chosen by then stays chosen. @param {string} typed */
  async #findPeople(typed) {
    /** @type {{people: string[]} | string} */
    const answer = await ask(`/people/?q=${encodeURIComponent(typed)}`);
    if (typeof answer === "string" || this.#box.value.trim() !== typed) return;
    this.#people = { typed, names: answer.people };
    if (!this.#isOpen) return;
    const active = this.#options[this.#active]?.id;
    const isChosen = this.#show(typed);
    const index = this.#options.findIndex(({ id }) => id === active);
    this.#activate(index < 0 && isChosen ? 0 : index);
  }

  /** @param {string} name @returns {Option} */
  #personOption(name) {
    const act = () => this.#actions.openDirect(name);
    return { id: `person-${name}`, label: name, mark: gettext("person"), hue: name, act };
  }

  /** @param {Candidate} candidate @returns {Option} */
  #optionOf({ room, title, isOpen, counts }) {
    const mark = [isOpen ? gettext("open") : "", countsWords(counts)].filter(Boolean).join(" · ");
    return { id: room, label: title, mark, hue: room, act: () => this.#actions.open(room) };
  }

  /** @param {number} index */
  #activate(index) {
    this.#active = index;
    [...this.#list.children].forEach((option, i) => {
      option.ariaSelected = String(i === index);
    });
    const option = this.#list.children[index];
    if (option && this.#isOpen) {
      this.#box.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else this.#box.removeAttribute("aria-activedescendant");
  }

  /** @param {string} key @returns {boolean} whether the key was handled */
  #keyPressed(key) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step !== undefined) {
      const { length } = this.#options;
      if (!this.#isOpen) this.#update();
      else if (length)
        this.#activate((Math.max(this.#active, step > 0 ? -1 : 0) + step + length) % length);
      return true;
    }
    if (key !== "Escape") return false;
    const isUsed = this.#isOpen || this.#box.value !== "" || this.#form.matches(".finding");
    if (isUsed) this.#goBack();
    return isUsed;
  }

  /** The user pressed Enter. */
  submit() {
    if (this.#isOpen && this.#active >= 0) this.#choose(this.#active);
    else if (this.#box.value.trim() !== "") this.#openByTitle(this.#box.value.trim());
  }

  /** @param {number} index */
  #choose(index) {
    const option = this.#options[index];
    this.#box.value = "";
    this.#close();
    // On a phone, the box is hidden now. The browser would take the focus away later, as if the user had moved it.
    if (this.#box.offsetParent === null) this.#box.blur();
    option?.act();
  }

  /** No known room has such a title, but the server may know a newer one. @param {string} title */
  async #openByTitle(title) {
    const focused = document.activeElement;
    const room = await findRoom(title, this.#actions.rooms());
    this.#showTrouble(typeof room === "string" ? room : "");
    if (typeof room === "string") return;
    // A user who moved the focus during the request keeps it, and the view does not change.
    this.#actions.goToRoom(room, document.activeElement === focused);
    if (this.#box.value.trim() !== title) return;
    this.#box.value = "";
    this.#close();
  }

  /** Escape: the focus goes back where it was. */
  #goBack() {
    this.#box.value = "";
    this.#showTrouble("");
    this.#close();
    const from = this.#cameFrom;
    if (from instanceof HTMLElement && from.isConnected) from.focus({ preventScroll: true });
    else this.#box.blur();
  }

  #close() {
    this.#list.hidden = true;
    this.#box.ariaExpanded = "false";
    this.#box.removeAttribute("aria-activedescendant");
    this.#form.classList.remove("finding");
  }

  /** @param {string} sentence */
  #showTrouble(sentence) {
    const trouble = part(this.#form, "not-found");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}

/** Before anything is typed, the rooms with unread messages come first, those with mentions before the others. @param {Iterable<Candidate>} candidates @param {string} typed */
function sorted(candidates, typed) {
  if (typed !== "") return candidates;
  /** @param {Candidate} candidate */
  const weight = ({ counts: { unread, mentions } }) => (mentions ? 2 : unread ? 1 : 0);
  return [...candidates].sort((a, b) => weight(b) - weight(a));
}

/** @param {Option} option */
function optionElement({ id, label, mark, hue }) {
  const element = copyElement("found-template");
  element.id = `found-${id}`;
  part(element, "label").textContent = label;
  part(element, "mark").textContent = mark ?? "";
  const square = part(element, "hue");
  square.hidden = hue === undefined;
  if (hue !== undefined) setHue(square, hue);
  return element;
}
