/** <emoji-picker>: a grid of emoji to choose from, with a search. Opens at a button, closes on Escape or a click elsewhere. */

import { placeBeside } from "../dom/place.js";
import { isComposing } from "../dom/text_box.js";
import { EmojiData, withRecent } from "../model/emoji.js";
import { gettext } from "../model/language.js";

/** @import {Emoji} from "../model/emoji.js" */
/** @import {Preferences} from "../model/preferences.js" */

/** Emoji in a row. The style sheet has the same number. */
const COLUMNS = 8;
const MAX_FOUND = 80;

/**
 * Add the picker to the page.
 * @param {Response} answer with the data
 * @param {Preferences} preferences
 * @throws {Error} the server did not answer with the data
 */
export async function addPicker(answer, preferences) {
  if (!answer.ok) throw new Error(`${answer.url} ${answer.status}`);
  const data = new EmojiData(await answer.json());
  customElements.define("emoji-picker", EmojiPicker);
  const picker = new EmojiPicker();
  picker.configure(data, preferences);
  document.body.append(picker);
  return picker;
}

export class EmojiPicker extends HTMLElement {
  // Set by `configure`, before it is used.
  #data = /** @type {EmojiData} */ (/** @type {unknown} */ (null));
  #preferences = /** @type {Preferences} */ (/** @type {unknown} */ (null));
  /** Answers the button that opened it. @type {(emoji: string | null) => void} */
  #answer = () => {};
  #search = document.createElement("input");
  #grid = document.createElement("div");
  #status = document.createElement("p");
  /** The groups are built once, because there are thousands of buttons. @type {HTMLElement[]} */
  #groups = [];
  /** @type {HTMLElement[]} */
  #recent = [];
  /** @type {HTMLElement | null} */
  #anchor = null;

  /** @param {EmojiData} data @param {Preferences} preferences */
  configure(data, preferences) {
    this.#data = data;
    this.#preferences = preferences;
    this.popover = "auto";
    this.role = "dialog";
    this.ariaLabel = gettext("Choose an emoji");
    Object.assign(this.#search, {
      type: "search",
      placeholder: gettext("Search emoji"),
      autocomplete: "off",
    });
    this.#search.ariaLabel = gettext("Search emoji");
    this.#search.enterKeyHint = "done";
    this.#grid.className = "emoji-grid";
    this.#grid.role = "grid";
    this.#grid.ariaLabel = gettext("Emoji");
    this.#status.className = "emoji-status";
    this.#status.role = "status";
    this.append(this.#search, this.#grid, this.#status);
    this.#groups = data.groups.map(({ name, emoji }) => group(name, emoji));
    this.#search.addEventListener("input", () => this.#showFound());
    this.addEventListener("keydown", (event) => this.#keyPressed(event));
    this.#grid.addEventListener("click", ({ target }) => {
      if (target instanceof HTMLButtonElement) this.#chosen(target);
    });
    // The button with the focus is the one that Tab comes back to, and whose name a user who sees reads.
    this.#grid.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLButtonElement) this.#makeCurrent(target);
    });
    this.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.#anchor?.setAttribute("aria-expanded", String(isOpen));
      if (!isOpen) this.#answer(null);
    });
  }

  /**
   * Open at a button.
   * @param {HTMLElement} anchor
   * @returns {Promise<string | null>} null: closed without choosing
   */
  choose(anchor) {
    // Closing and opening in one click is one event, of opening. The button that opened it before gets no emoji any more.
    this.#answer(null);
    /** @type {Promise<string | null>} */
    const chosen = new Promise((resolve) => {
      this.#answer = resolve;
    });
    this.#open(anchor);
    return chosen;
  }

  /** Emoji whose names begin with a text, those used last first. @param {string} text @param {number} most */
  search(text, most) {
    const found = this.#data.search(text, most * 4);
    const recent = this.#preferences.get("recentEmoji");
    const isRecent = (/** @type {Emoji} */ { emoji }) => recent.includes(emoji);
    return [...found.filter(isRecent), ...found.filter((item) => !isRecent(item))].slice(0, most);
  }

  /** @param {HTMLElement} anchor */
  #open(anchor) {
    this.#anchor?.setAttribute("aria-expanded", "false");
    this.#anchor = anchor;
    const known = this.#data.named(this.#preferences.get("recentEmoji"));
    this.#recent = known.length > 0 ? [group(gettext("Recently used"), known)] : [];
    this.#search.value = "";
    this.#showFound();
    this.showPopover();
    placeBeside(this, anchor.getBoundingClientRect());
    // On a phone the focus in a text box would open the keyboard over the emoji.
    if (matchMedia("(pointer: coarse)").matches) this.#buttons[0]?.focus();
    else this.#search.focus();
  }

  get #buttons() {
    return /** @type {HTMLButtonElement[]} */ ([...this.#grid.querySelectorAll("button")]);
  }

  #showFound() {
    const text = this.#search.value;
    const isSearching = text.trim() !== "";
    const found = isSearching ? this.#data.search(text, MAX_FOUND) : [];
    const groups = isSearching
      ? [group(gettext("Found"), found)]
      : [...this.#recent, ...this.#groups];
    this.#grid.replaceChildren(...(isSearching && found.length === 0 ? [] : groups));
    this.#grid.scrollTop = 0;
    const [first] = this.#buttons;
    if (first) this.#makeCurrent(first);
    if (!isSearching) this.#status.textContent = "";
    else if (found.length === 0) this.#status.textContent = gettext("No emoji found.");
    else
      this.#status.textContent = gettext("Enter chooses {emoji}.", {
        emoji: first?.ariaLabel ?? "",
      });
  }

  /** @param {HTMLButtonElement} button */
  #makeCurrent(button) {
    for (const other of this.#grid.querySelectorAll('button[tabindex="0"]'))
      other.setAttribute("tabindex", "-1");
    button.tabIndex = 0;
    this.#status.textContent = button.ariaLabel;
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    if (isComposing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    const isSearch = event.target === this.#search;
    event.stopPropagation(); // what is typed here does nothing else on the page
    // A search box would only be emptied by Escape.
    if (event.key === "Escape") this.hidePopover();
    else if (!(isSearch ? this.#searchKeyPressed(event.key) : this.#gridKeyPressed(event))) return;
    event.preventDefault();
  }

  /** @param {string} key */
  #searchKeyPressed(key) {
    const [first] = this.#buttons;
    if (key === "Enter" && this.#search.value.trim() !== "" && first) this.#chosen(first);
    if (key === "ArrowDown") first?.focus();
    return key === "Enter" || key === "ArrowDown";
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was handled */
  #gridKeyPressed({ key, target }) {
    if (!(target instanceof HTMLButtonElement)) return false;
    const buttons = this.#buttons;
    const index = buttons.indexOf(target);
    const row = /** @type {HTMLElement} */ (target.closest('[role="row"]'));
    /** @type {Record<string, () => Element | null | undefined>} */
    const ways = {
      ArrowLeft: () => buttons[index - 1],
      ArrowRight: () => buttons[index + 1],
      ArrowUp: () => this.#inRow(row, target, -1) ?? this.#search,
      ArrowDown: () => this.#inRow(row, target, 1),
      Home: () => row.querySelector("button"),
      End: () => row.lastElementChild?.querySelector("button"),
    };
    const next = ways[key]?.();
    if (next instanceof HTMLElement) next.focus();
    return key in ways;
  }

  /**
   * The button in the same column of the row before (-1) or after (1), also in another group.
   * @param {HTMLElement} row
   * @param {HTMLElement} button
   * @param {number} step
   */
  #inRow(row, button, step) {
    const rows = [...this.#grid.querySelectorAll('[role="row"]')];
    const column = [...row.children].indexOf(/** @type {HTMLElement} */ (button.parentElement));
    const cells = rows[rows.indexOf(row) + step]?.children;
    return cells?.[Math.min(column, cells.length - 1)]?.querySelector("button");
  }

  /** @param {HTMLButtonElement} button */
  #chosen(button) {
    const emoji = button.textContent ?? "";
    const recent = this.#preferences.get("recentEmoji");
    this.#preferences.set("recentEmoji", withRecent(recent, emoji));
    this.#answer(emoji);
    this.hidePopover();
  }
}

/** @param {string} name @param {Emoji[]} emoji */
function group(name, emoji) {
  const box = document.createElement("div");
  box.role = "rowgroup";
  box.ariaLabel = name;
  box.className = "emoji-group";
  const heading = document.createElement("p");
  heading.ariaHidden = "true"; // a grid's group has only rows, and its label names it
  heading.textContent = name;
  box.append(heading);
  for (let start = 0; start < emoji.length; start += COLUMNS) {
    const row = document.createElement("div");
    row.role = "row";
    row.className = "emoji-row";
    row.append(...emoji.slice(start, start + COLUMNS).map(cell));
    box.append(row);
  }
  return box;
}

/** @param {Emoji} emoji */
function cell({ emoji, name }) {
  const box = document.createElement("span");
  box.role = "gridcell";
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.textContent = emoji;
  button.ariaLabel = button.title = name;
  box.append(button);
  return box;
}
