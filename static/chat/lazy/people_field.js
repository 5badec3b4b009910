/** Chooses people by name: a box that completes names, and a list of those who were chosen. */

import { ask } from "../dom/ask.js";
import { copyElement, part, setAvatar, showName } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { gettext } from "../model/language.js";
import { shownNames } from "../model/names.js";

const COMPLETE_AFTER_MS = 150;

export class PeopleField {
  #field;
  #box;
  /** @type {string[]} */
  #names = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asked = 0;

  /** @param {HTMLElement} field @param {(names: string[]) => void} [onadd] by default the names are kept in the list */
  constructor(field, onadd = (names) => this.#keep(names)) {
    this.#field = field;
    this.#box = /** @type {HTMLInputElement} */ (part(field, "person"));
    const add = () => {
      const names = this.#typed;
      if (names.length === 0) return;
      this.#box.value = "";
      onadd(names);
      this.#box.focus();
    };
    this.#box.addEventListener("input", () => this.#completeSoon());
    this.#box.addEventListener("focus", () => this.#completeSoon());
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || isComposing(event) || this.#box.value.trim() === "") return;
      event.preventDefault(); // so that the form is not sent
      add();
    });
    part(field, "add").addEventListener("click", add);
  }

  /** What is typed, as names. An @ before a name is not a part of it. */
  get #typed() {
    const words = this.#box.value.split(/[\s,]+/);
    return words.map((word) => word.replace(/^@/, "")).filter(Boolean);
  }

  /** The names that were chosen, and the one that is typed. */
  get names() {
    return [...new Set([...this.#names, ...this.#typed])];
  }

  /** Put names back into the box, because they were refused. @param {string[]} names */
  putBack(names) {
    this.#box.value = names.join(" ");
  }

  clear() {
    this.#names = [];
    this.#box.value = "";
    this.#show();
  }

  /** @param {string[]} names */
  #keep(names) {
    this.#names = [...new Set([...this.#names, ...names])];
    this.#show();
  }

  #show() {
    part(this.#field, "chosen").replaceChildren(
      ...this.#names.map((name) =>
        memberItem(name, "", () => {
          this.#names = this.#names.filter((other) => other !== name);
          this.#show();
          this.#box.focus();
        }),
      ),
    );
  }

  #completeSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#complete(), COMPLETE_AFTER_MS);
  }

  async #complete() {
    this.#asked += 1;
    const asked = this.#asked;
    const query = encodeURIComponent(this.#typed.join(" "));
    /** @type {{people: string[], shown?: Record<string, string>} | string} */
    const answer = await ask(`/people/?q=${query}`);
    if (asked !== this.#asked || typeof answer === "string") return;
    const { people, shown = {} } = answer;
    const options = people.map((name) => new Option(shown[name] ?? "", name));
    part(this.#field, "names").replaceChildren(...options);
  }
}

/**
 * An item with a person's name and a button that removes them.
 * @param {string} name
 * @param {string} about
 * @param {(() => void) | null} remove null: without a button
 */
export function memberItem(name, about, remove) {
  const item = copyElement("member-template");
  showName(item, () => {
    setAvatar(part(item, "avatar"), name, name, shownNames.pictureOf(name));
    part(item, "name").textContent = shownNames.of(name);
    part(item, "name").title = name;
  });
  part(item, "about").textContent = about;
  const button = part(item, "remove");
  button.hidden = remove === null;
  button.setAttribute("aria-label", gettext("Remove {name}", { name }));
  button.addEventListener("click", () => remove?.());
  return item;
}
