/** The other rooms of a message: a chip for each, and a box that completes the titles of more. */

import { setHue } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { moreRoomsWords, removeWords } from "../model/carry_strings.js";
import { gettext } from "../model/language.js";
import { bestMatches } from "../model/match.js";

/** @import {Room} from "../model/protocol.js" */

/** `leave`: go back to the composer; `addAll`: null if the user may not. @typedef {{candidates: () => Room[], add: (room: string) => void, remove: (room: string) => void, leave: () => void, addAll: (() => void) | null}} RoomActions */

/** The most rooms that are offered at a time, and the most chips. */
const MOST_OPTIONS = 6;
const MOST_CHIPS = 12;

export class RoomField {
  element = document.createElement("div");
  #chips = document.createElement("ul");
  #box = document.createElement("input");
  #list = document.createElement("ul");
  #actions;
  /** @type {Room[]} */
  #options = [];
  #active = -1;

  /** @param {string} room the composer's own @param {RoomActions} actions */
  constructor(room, actions) {
    this.#actions = actions;
    this.element.className = "also-in";
    this.element.role = "group";
    this.element.ariaLabel = gettext("Also in other rooms");
    const label = document.createElement("span");
    label.textContent = gettext("Also in");
    this.#chips.className = "room-chips";
    this.#list.className = "completions";
    this.#list.role = "listbox";
    this.#list.ariaLabel = gettext("Rooms");
    this.#list.id = `also-${room}`;
    this.#list.hidden = true;
    this.#list.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
    this.#list.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest("li") : null;
      this.#choose([...this.#list.children].indexOf(/** @type {Element} */ (option)));
    });
    this.#setUpBox();
    this.element.append(label, this.#chips, this.#box, this.#list);
    if (!actions.addAll) return;
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = gettext("All rooms…");
    all.addEventListener("click", actions.addAll);
    this.element.append(all);
  }

  #setUpBox() {
    const box = this.#box;
    box.type = "text";
    box.role = "combobox";
    box.autocomplete = "off";
    box.maxLength = 255;
    box.ariaLabel = gettext("Add a room");
    box.placeholder = gettext("Add a room");
    box.ariaAutoComplete = "list";
    box.ariaExpanded = "false";
    box.setAttribute("aria-controls", this.#list.id);
    box.addEventListener("input", (event) => {
      event.stopPropagation(); // it is not the message's text
      this.#offer();
    });
    box.addEventListener("focus", () => this.#offer());
    box.addEventListener("blur", () => this.#close());
    box.addEventListener("keydown", (event) => {
      if (isComposing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
      if (!this.#keyPressed(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** @param {Room[]} rooms */
  showRooms(rooms) {
    const hadFocus = this.#chips.contains(document.activeElement);
    const shown = rooms.slice(0, rooms.length > MOST_CHIPS ? MOST_CHIPS - 1 : MOST_CHIPS);
    this.#chips.replaceChildren(...shown.map((room) => this.#chip(room)));
    if (shown.length < rooms.length) {
      const more = document.createElement("li");
      more.textContent = moreRoomsWords(rooms.length - shown.length);
      more.title = rooms
        .slice(shown.length)
        .map(({ title }) => title)
        .join(", ");
      this.#chips.append(more);
    }
    // Not on the next chip's button, which would act on the next key.
    if (hadFocus) this.focus();
  }

  /** @param {Room} room */
  #chip({ id, title }) {
    const chip = document.createElement("li");
    const hue = document.createElement("span");
    hue.className = "hue";
    setHue(chip, id);
    const name = document.createElement("bdi");
    name.textContent = name.title = title;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.ariaLabel = remove.title = removeWords(title);
    remove.addEventListener("click", () => this.#actions.remove(id));
    chip.append(hue, name, remove);
    return chip;
  }

  #offer() {
    const typed = this.#box.value.trim();
    this.#options = bestMatches(this.#actions.candidates(), typed, MOST_OPTIONS);
    this.#list.replaceChildren(
      ...this.#options.map(({ id, title }, index) => {
        const option = document.createElement("li");
        option.role = "option";
        option.id = `${this.#list.id}-${index}`;
        setHue(option, id);
        const hue = document.createElement("span");
        hue.className = "hue";
        const name = document.createElement("bdi");
        name.textContent = title;
        option.append(hue, name);
        return option;
      }),
    );
    this.#list.hidden = this.#options.length === 0;
    this.#box.ariaExpanded = String(!this.#list.hidden);
    this.#activate(typed === "" ? -1 : 0);
  }

  /** @param {number} index */
  #activate(index) {
    this.#active = index;
    [...this.#list.children].forEach((option, i) => {
      option.ariaSelected = String(i === index);
    });
    const option = this.#list.children[index];
    if (option) this.#box.setAttribute("aria-activedescendant", option.id);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was handled */
  #keyPressed({ key, repeat }) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const { length } = this.#options;
    if (step !== undefined) {
      if (this.#list.hidden) this.#offer();
      else this.#activate((Math.max(this.#active, step > 0 ? -1 : 0) + step + length) % length);
      return true;
    }
    // Enter sends nothing from here.
    if (key === "Enter" && !repeat) {
      if (this.#active >= 0) this.#choose(this.#active);
      else if (this.#box.value.trim() === "") this.#actions.leave();
      return true;
    }
    if (key === "Backspace" && this.#box.value === "") {
      [...this.#chips.querySelectorAll("button")].at(-1)?.click();
      return true;
    }
    if (key !== "Escape") return key === "Enter";
    if (this.#box.value === "" || this.#list.hidden) this.#actions.leave();
    this.#box.value = "";
    this.#close();
    return true;
  }

  /** @param {number} index */
  #choose(index) {
    const room = this.#options[index];
    if (!room) return;
    this.#box.value = "";
    this.#actions.add(room.id);
    this.#offer();
  }

  #close() {
    this.#list.hidden = true;
    this.#box.ariaExpanded = "false";
    this.#activate(-1);
  }
}
