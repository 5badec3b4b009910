/** Shows notices above the panes, for what concerns no single pane. */

import { gettext } from "../model/language.js";
import { copyElement, part } from "./templates.js";

/** A button that closes the notice, unless it `stays`. @typedef {{label: string, act: (notice: HTMLElement) => void, stays?: boolean}} Choice */
/** `key`: there is one notice for each; `text`: the user's own text, to be copied; `dismiss`: the last button's label, null for no button. @typedef {{key?: string, text?: string, choices?: Choice[], dismiss?: string | null, link?: {label: string, href: string}}} Options */

/** At most this many characters of a text are shown, but all of it is copied. */
const MAX_SHOWN = 5_000;

export class Notices {
  #box;

  /** @param {HTMLElement} box may already have a notice from the server */
  constructor(box) {
    this.#box = box;
    box.addEventListener("click", ({ target }) => dismiss(target));
  }

  /**
   * Show a notice, unless one with its key is shown.
   * @param {string} sentence
   * @param {Options} options
   */
  show(sentence, { key = sentence, text, choices = [], dismiss = gettext("Dismiss"), link } = {}) {
    if (this.#find(key)) return;
    const notice = copyElement("notice-template");
    notice.dataset.key = key;
    part(notice, "sentence").textContent = sentence;
    const words = part(notice, "words");
    words.hidden = text === undefined;
    // Millions of characters would block the page each time they are shown.
    words.textContent =
      text && text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : (text ?? "");
    const last = part(notice, "dismiss");
    last.textContent = dismiss;
    last.hidden = dismiss === null;
    if (link) last.before(anchor(link));
    last.before(...choices.map((choice) => button(choice, notice)));
    this.#box.append(notice);
  }

  /**
   * Offer a text back that no box or pane can hold.
   * @param {string} sentence
   * @param {{key: string, text: string, discard: () => void, putBack?: () => void}} offer `putBack`: into its room
   */
  offerText(sentence, { key, text, discard, putBack }) {
    const choices = [
      ...(putBack ? [{ label: gettext("Put back"), act: putBack }] : []),
      {
        label: gettext("Copy"),
        act: (/** @type {HTMLElement} */ notice) => copyText(notice, text),
        stays: true,
      },
      { label: gettext("Discard"), act: discard },
    ];
    this.show(sentence, { key, text, choices, dismiss: null });
  }

  /** Ask, with the focus on the answer that changes nothing. @param {string} sentence @param {Options} options */
  ask(sentence, options) {
    this.show(sentence, options);
    const notice = this.#find(options.key ?? sentence);
    if (notice) part(notice, "dismiss").focus();
  }

  /** @param {string} key */
  remove(key) {
    const notice = this.#find(key);
    if (notice) removeNotice(notice);
  }

  /** @param {string} key */
  #find(key) {
    return [...this.#box.children].find(
      (notice) => (notice.getAttribute("data-key") ?? part(notice, "sentence").textContent) === key,
    );
  }
}

/** @param {{label: string, href: string}} link */
function anchor({ label, href }) {
  const element = document.createElement("a");
  element.textContent = label;
  element.href = href;
  return element;
}

/**
 * @param {Choice} choice
 * @param {HTMLElement} notice
 */
function button({ label, act, stays }, notice) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", () => {
    if (!stays) removeNotice(notice);
    act(notice);
  });
  return element;
}

/** Over plain HTTP there is no clipboard API, so the old command copies the selection. @param {HTMLElement} notice @param {string} text */
function copyText(notice, text) {
  const words = part(notice, "words");
  getSelection()?.selectAllChildren(words);
  if (navigator.clipboard) navigator.clipboard.writeText(text).catch(() => {});
  else document.execCommand("copy");
}

/** @param {EventTarget | null} target */
function dismiss(target) {
  const button = target instanceof Element ? target.closest('[data-part="dismiss"]') : null;
  const notice = button?.closest(".notice");
  if (notice) removeNotice(notice);
}

/**
 * Remove a notice. A focus in it moves to the next notice, or to the main element, from where Tab goes to the first pane.
 * @param {Element} notice
 */
function removeNotice(notice) {
  const hadFocus = notice.contains(document.activeElement);
  const box = notice.parentElement;
  const next = notice.nextElementSibling ?? notice.previousElementSibling;
  notice.remove();
  if (!hadFocus) return;
  if (next instanceof HTMLElement && next.checkVisibility()) {
    next.tabIndex = -1; // not a button in it, because an Enter that comes now is not meant for it
    next.focus();
  } else box?.closest("main")?.focus();
}
