/** The page's keyboard shortcuts: their default chords, and the user's own. docs/page.md has the chords that others own. */

import { gettext, pgettext } from "./language.js";

/** @import {Preferences} from "./preferences.js" */

/** @typedef {keyof typeof DEFAULTS} ShortcutName */
/** The part of a KeyboardEvent that makes a chord. @typedef {Pick<KeyboardEvent, "key" | "code" | "altKey" | "shiftKey" | "ctrlKey" | "metaKey">} Pressed */

/** Chords as in `aria-keyshortcuts`. "Mod" is ⌘ on a Mac and Control elsewhere; "#" is any digit from 1 to 9. */
export const DEFAULTS = {
  find: "Mod+K",
  nextPane: "F6",
  previousPane: "Shift+F6",
  paneNumber: "Control+Shift+#",
  nextUnread: "F8",
  previousUnread: "Shift+F8",
  catchUp: "Control+Shift+F8",
  nextScreen: "Space",
  readOn: "E",
  workspaces: "Control+Shift+Quote",
  newest: "Alt+PageDown",
  sameMoment: "Alt+PageUp",
  edit: "F2",
  quote: "Shift+F2",
  reply: "Control+Shift+F2",
  react: "Control+Shift+Semicolon",
  moveLeft: "Control+Shift+F7",
  moveRight: "Control+Shift+F9",
  help: "Control+Slash",
};

/** What each shortcut does, in the order in which they are listed. @type {Record<ShortcutName, string>} */
export const LABELS = /* @__PURE__ */ (() => ({
  find: gettext("Find or jump"),
  nextPane: gettext("Next pane"),
  previousPane: gettext("Previous pane"),
  paneNumber: gettext("Pane 1 to 9"),
  nextUnread: gettext("Next unread"),
  previousUnread: gettext("Previous unread"),
  catchUp: gettext("Catch up"),
  nextScreen: gettext("Next screen, while catching up"),
  readOn: gettext("Mark read and on, while catching up"),
  workspaces: gettext("Workspaces"),
  newest: gettext("Newest message"),
  sameMoment: gettext("Same moment in all panes"),
  edit: gettext("Edit your last message"),
  quote: gettext("Quote in another room"),
  reply: gettext("Reply"),
  react: gettext("Add reaction"),
  moveLeft: gettext("Move the pane left"),
  moveRight: gettext("Move the pane right"),
  help: gettext("Keyboard shortcuts"),
}))();

/** The chords of earlier versions. They stay for users who know them, unless the user gave the shortcut another chord. @type {Partial<Record<ShortcutName, string>>} */
const FORMER = {
  nextUnread: "Alt+Shift+ArrowDown",
  previousUnread: "Alt+Shift+ArrowUp",
  moveLeft: "Alt+Shift+ArrowLeft",
  moveRight: "Alt+Shift+ArrowRight",
};

const NAMES = /** @type {ShortcutName[]} */ (Object.keys(DEFAULTS));
const MODIFIER_KEYS = new Set(["Control", "Shift", "Alt", "Meta", "AltGraph"]);

/**
 * Name the keys of an event; "" for a key that types or is a modifier alone.
 * @param {Pressed} event
 */
export function chordOf({ key, code, altKey, shiftKey, ctrlKey, metaKey }) {
  const isFunction = /^F\d+$/.test(key);
  if (MODIFIER_KEYS.has(key) || !(isFunction || altKey || ctrlKey || metaKey)) return "";
  // Digits and signs by their place, because Shift changes them; letters as the keyboard's layout has them, if it is Latin.
  const isSign = /^(Digit\d|Comma|Period|Slash|Semicolon|Quote|Minus|Equal)$/.test(code);
  const isLetter = /^[a-z]$/i.test(key);
  const name = isSign
    ? code.replace("Digit", "")
    : isLetter
      ? key.toUpperCase()
      : /^Key[A-Z]$/.test(code)
        ? code.slice(3)
        : key;
  const modifiers = [ctrlKey && "Control", altKey && "Alt", shiftKey && "Shift", metaKey && "Meta"];
  return [...modifiers.filter(Boolean), name].join("+");
}

export class Shortcuts {
  preferences;
  isMac;

  /** @param {Preferences} preferences @param {boolean} isMac */
  constructor(preferences, isMac) {
    this.preferences = preferences;
    this.isMac = isMac;
  }

  /** The chord of a shortcut; "" if the user switched it off. @param {ShortcutName} name */
  chordFor(name) {
    const chord = this.preferences.get("shortcuts")[name] ?? DEFAULTS[name];
    return chord.replace("Mod", this.isMac ? "Meta" : "Control");
  }

  /**
   * Find the shortcut that an event is for.
   * @param {Pressed} event
   * @param {boolean} [isSelecting] on a Mac, Alt+Shift and an arrow selects words, so it is not taken from a text box
   * @returns {{name: ShortcutName, digit: number} | null}
   */
  find(event, isSelecting = false) {
    const chord = chordOf(event);
    if (chord === "") return null;
    const digit = Number(chord.at(-1));
    const isDigit = /\+[1-9]$/.test(chord);
    const own = this.preferences.get("shortcuts");
    const numbered = isDigit ? chord.replace(/\d$/, "#") : chord;
    // A chord that a shortcut has now comes before "#", which takes nine at once, and before those of earlier versions.
    const name =
      NAMES.find((candidate) => this.chordFor(candidate) === chord) ??
      NAMES.find((candidate) => this.chordFor(candidate) === numbered) ??
      (isSelecting
        ? undefined
        : NAMES.find((former) => FORMER[former] === chord && own[former] === undefined));
    return name === undefined ? null : { name, digit: isDigit ? digit : 0 };
  }
}

/** The shortcuts while the user changes them: the page needs only the others, so bundles leave this out. */
export class ChangeableShortcuts extends Shortcuts {
  /** Whether the user changed a shortcut. @param {ShortcutName} name */
  isOwn(name) {
    return this.preferences.get("shortcuts")[name] !== undefined;
  }

  /** Give a shortcut a chord of the user's own; "" switches it off, null gives the default back. Another shortcut loses the chord. @param {ShortcutName} name @param {string | null} chord */
  change(name, chord) {
    const own = { ...this.preferences.get("shortcuts") };
    delete own[name];
    if (chord)
      for (const other of NAMES)
        if (other !== name && this.chordFor(other) === chord) own[other] = "";
    if (chord !== null) own[name] = name === "paneNumber" ? chord.replace(/\d$/, "#") : chord;
    this.preferences.set("shortcuts", own);
  }
}

/** @type {Record<string, string>} */
const KEY_WORDS = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Comma: ",",
  Period: ".",
  Slash: "/",
  Semicolon: ";",
  Quote: "'",
  Space: pgettext("key", "Space"),
  Minus: "-",
  Equal: "=",
  Shift: pgettext("key", "Shift"),
  Control: pgettext("key", "Ctrl"),
  PageUp: pgettext("key", "Page Up"),
  PageDown: pgettext("key", "Page Down"),
  "#": "1…9",
};

/** A chord as users read it. @param {string} chord @param {boolean} [isMac] */
export function chordWords(chord, isMac = false) {
  return chord
    .split("+")
    .map((key) => (key === "Meta" ? (isMac ? "⌘" : "Meta") : (KEY_WORDS[key] ?? key)))
    .join("+");
}
