/** The list of choices at a composer's box while a name is typed. The focus stays in the box. */

import { replaceText } from "../dom/text_box.js";
import { findChoices, isComplete, wordAt } from "../model/completion.js";
import { gettext } from "../model/language.js";
import { choicesWords } from "../model/strings.js";

/** @import {Choice, Source, Word} from "../model/completion.js" */

const NAMES = { "@": gettext("People"), "#": gettext("Rooms"), ":": gettext("Emoji") };

/** Ids are unique on the page. */
let lists = 0;

export class Completion {
  #box;
  #list;
  #status;
  #source;
  /** @type {Choice[]} */
  #choices = [];
  /** The index of the choice that Enter takes, or -1. */
  #current = -1;
  #id = `completion-${++lists}`;

  /**
   * @param {HTMLTextAreaElement} box
   * @param {{list: HTMLElement, status: HTMLElement}} parts `status` is read out
   * @param {Source} source
   */
  constructor(box, { list, status }, source) {
    this.#box = box;
    this.#list = list;
    this.#status = status;
    this.#source = source;
    list.id = this.#id;
    box.addEventListener("input", (event) => {
      // While an input method composes, the text is not what the user means yet.
      if (!(/** @type {InputEvent} */ (event).isComposing)) this.#update();
    });
    box.addEventListener("compositionend", () => this.#update());
    box.addEventListener("blur", () => this.close());
    for (const moved of ["keyup", "click"])
      box.addEventListener(moved, () => this.isOpen && this.#word === null && this.close());
    // A click would take the focus out of the box.
    for (const pressed of ["pointerdown", "mousedown"])
      list.addEventListener(pressed, (event) => event.preventDefault());
    list.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest('[role="option"]') : null;
      if (option) this.#accept([...list.children].indexOf(option));
    });
    this.#update(); // a word was begun while this was loaded
  }

  get isOpen() {
    return !this.#list.hidden;
  }

  close() {
    this.#choices = [];
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#status.textContent = "";
    for (const name of ["aria-activedescendant", "aria-controls"]) this.#box.removeAttribute(name);
  }

  /**
   * @param {KeyboardEvent} event without modifiers, and not of an input method
   * @returns {boolean} whether the key belonged to the list
   */
  handleKey({ key }) {
    if (!this.isOpen) return false;
    const count = this.#choices.length;
    if (key === "ArrowDown") this.#select((this.#current + 1) % count);
    else if (key === "ArrowUp") this.#select(this.#current > 0 ? this.#current - 1 : count - 1);
    else if (key === "Escape") this.close();
    else if ((key === "Enter" || key === "Tab") && this.#current >= 0) this.#accept(this.#current);
    else return false;
    return true;
  }

  /** The word at the caret, if something is typed at one place. */
  get #word() {
    const { value, selectionStart, selectionEnd, readOnly } = this.#box;
    return readOnly || selectionStart !== selectionEnd ? null : wordAt(value, selectionStart);
  }

  async #update() {
    const word = this.#word;
    if (word === null) return this.close();
    const choices = await findChoices(word, this.#source).catch(() => []);
    // The user may have typed on, or left the box, while the choices were looked up.
    const current = this.#word;
    if (current?.start !== word.start || current.typed !== word.typed) return;
    if (choices.length === 0 || document.activeElement !== this.#box) return this.close();
    this.#show(word, choices);
  }

  /** @param {Word} word @param {Choice[]} choices */
  #show(word, choices) {
    this.#choices = choices;
    this.#list.setAttribute("aria-label", NAMES[word.sign]);
    this.#list.replaceChildren(
      ...choices.map((choice, index) => option(choice, `${this.#id}-${index}`)),
    );
    this.#list.hidden = false;
    this.#box.setAttribute("aria-controls", this.#id);
    this.#status.textContent = choicesWords(choices.length);
    // A name that is typed completely is sent by Enter, as if there were no list.
    this.#select(isComplete(word, choices) ? -1 : 0);
  }

  /** @param {number} index */
  #select(index) {
    this.#current = index;
    for (const [at, option] of [...this.#list.children].entries())
      option.ariaSelected = String(at === index);
    const chosen = this.#list.children[index];
    chosen?.scrollIntoView({ block: "nearest" });
    if (chosen) this.#box.setAttribute("aria-activedescendant", chosen.id);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  /** @param {number} index */
  #accept(index) {
    const choice = this.#choices[index];
    const word = this.#word;
    this.close();
    if (!choice || !word) return;
    const { value, selectionStart: caret } = this.#box;
    const isFollowed = value.charAt(caret) === " ";
    replaceText(this.#box, word.start, caret, isFollowed ? choice.text : `${choice.text} `);
  }
}

/** @param {Choice} choice @param {string} id */
function option({ label, hint, isHere, about, note = isHere ? gettext("here") : undefined }, id) {
  const element = document.createElement("li");
  element.id = id;
  element.role = "option";
  const rest = [about, note].filter(Boolean).join(", ");
  if (rest) element.setAttribute("aria-description", rest);
  const name = document.createElement("bdi");
  name.textContent = label;
  element.append(name);
  if (about) {
    const person = document.createElement("bdi");
    person.className = "about";
    person.textContent = about;
    person.ariaHidden = "true"; // it is the description
    element.append(" ", person);
  }
  if (hint !== undefined || note !== undefined) {
    const mark = document.createElement("span");
    mark.ariaHidden = "true";
    mark.className = note === undefined ? "hint" : "here";
    mark.textContent = hint ?? note ?? "";
    if (note !== undefined) element.append(mark);
    else element.prepend(mark);
  }
  return element;
}
