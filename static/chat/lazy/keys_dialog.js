/** Lists the keyboard shortcuts. The user can give each another chord, switch it off, and get its default back. */

import { copyElement, part } from "../dom/templates.js";
import { keysOf, WITHOUT_TYPING } from "../model/keys_alone.js";
import { gettext } from "../model/language.js";
import { ChangeableShortcuts, chordOf, chordWords, LABELS } from "../model/shortcuts.js";

/** @import {Preferences} from "../model/preferences.js" */
/** @import {ShortcutName} from "../model/shortcuts.js" */

const NAMES = /** @type {ShortcutName[]} */ (Object.keys(LABELS));

export class KeysDialog {
  #dialog;
  #shortcuts;
  /** The shortcut that waits for its new chord. @type {ShortcutName | null} */
  #waiting = null;

  /** @param {HTMLDialogElement} dialog @param {Preferences} preferences @param {boolean} isMac */
  constructor(dialog, preferences, isMac) {
    this.#dialog = dialog;
    this.#shortcuts = new ChangeableShortcuts(preferences, isMac);
    part(dialog, "close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      this.#waiting = null;
    });
    dialog.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  open() {
    this.#show();
    this.#dialog.showModal();
    part(this.#dialog, "close").focus();
  }

  /** @param {ShortcutName} [focused] whose first button gets the focus */
  #show(focused) {
    const rows = NAMES.map((name) => this.#row(name));
    part(this.#dialog, "keys").replaceChildren(...rows);
    if (focused !== undefined) rows[NAMES.indexOf(focused)]?.querySelector("button")?.focus();
  }

  /** @param {ShortcutName} name */
  #row(name) {
    const row = copyElement("keys-row-template");
    const chord = this.#shortcuts.chordFor(name);
    const isWaiting = this.#waiting === name;
    part(row, "label").textContent = LABELS[name];
    part(row, "chord").textContent = isWaiting
      ? gettext("Press the keys…")
      : chordWords(chord, this.#shortcuts.isMac) || gettext("Off");
    const named = { shortcut: LABELS[name] };
    /** @param {string} partName @param {string} label @param {() => void} act @param {boolean} isShown */
    const button = (partName, label, act, isShown) => {
      const element = part(row, partName);
      element.hidden = !isShown;
      element.setAttribute("aria-label", label);
      element.addEventListener("click", () => {
        act();
        this.#show(name);
      });
    };
    const [isOn, isOwn] = [chord !== "", this.#shortcuts.isOwn(name)];
    const change = (/** @type {string | null} */ to) => this.#shortcuts.change(name, to);
    button("change", gettext("Change: {shortcut}", named), () => this.#waitFor(name), !isWaiting);
    button("off", gettext("Off: {shortcut}", named), () => change(""), isOn && !isWaiting);
    button("default", gettext("Default: {shortcut}", named), () => change(null), isOwn);
    return row;
  }

  /** @param {ShortcutName} name */
  #waitFor(name) {
    this.#waiting = name;
    part(this.#dialog, "close").focus();
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const name = this.#waiting;
    if (name === null) return;
    const isAlone = WITHOUT_TYPING.includes(name) && event.key.length === 1;
    const chord = isAlone ? keysOf(event) : chordOf(event);
    if (event.key === "Escape") event.preventDefault();
    else if (chord === "")
      return; // a modifier alone, or a key that types
    else this.#shortcuts.change(name, chord);
    event.preventDefault();
    event.stopPropagation();
    this.#waiting = null;
    this.#show(name);
  }
}
