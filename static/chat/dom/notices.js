/** Sentences above the panes, for what has no pane. */

import { copyElement, part } from "./templates.js";

/** What can be done about it: it closes the notice, unless it `stays`. @typedef {{label: string, act: (notice: HTMLElement) => void, stays?: boolean}} Choice */
/** `key`: what is said once; `text`: somebody's own words, to be copied. @typedef {{key?: string, text?: string, choices?: Choice[], dismiss?: string | null, link?: {label: string, href: string}}} More */

/** So much of a text is shown; all of it is copied. */
const SHOWN = 5_000;

export class Notices {
  #box;

  /** @param {HTMLElement} box may have a notice of the server's already */
  constructor(box) {
    this.#box = box;
    box.addEventListener("click", ({ target }) => dismiss(target));
  }

  /**
   * Say something, once.
   * @param {string} sentence
   * @param {More} more `dismiss`: what the last button is called, null for none
   */
  show(sentence, { key = sentence, text, choices = [], dismiss = "Dismiss", link } = {}) {
    if (this.#find(key)) return;
    const notice = copyElement("notice-template");
    notice.dataset.key = key;
    part(notice, "sentence").textContent = sentence;
    const words = part(notice, "words");
    words.hidden = text === undefined;
    // A box of millions of characters would block the page each time it is shown.
    words.textContent = text && text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : (text ?? "");
    const last = part(notice, "dismiss");
    last.textContent = dismiss;
    last.hidden = dismiss === null;
    if (link) last.before(anchor(link));
    last.before(...choices.map((choice) => button(choice, notice)));
    this.#box.append(notice);
  }

  /**
   * Offer a text back that can stay nowhere else.
   * @param {string} sentence
   * @param {{key: string, text: string, discard: () => void, putBack?: () => void}} kept `putBack`: into its room
   */
  offerText(sentence, { key, text, discard, putBack }) {
    const choices = [
      ...(putBack ? [{ label: "Put back", act: putBack }] : []),
      {
        label: "Copy",
        act: (/** @type {HTMLElement} */ notice) => copyText(notice, text),
        stays: true,
      },
      { label: "Discard", act: discard },
    ];
    this.show(sentence, { key, text, choices, dismiss: null });
  }

  /** Ask, and put the keys on the answer that changes nothing. @param {string} sentence @param {More} more */
  ask(sentence, more) {
    this.show(sentence, more);
    const notice = this.#find(more.key ?? sentence);
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
      (one) => (one.getAttribute("data-key") ?? part(one, "sentence").textContent) === key,
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

/** Over plain http there is no clipboard to write to: the old command copies what is selected. @param {HTMLElement} notice @param {string} text */
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
 * The focus goes to the next notice, or to the place of the notices, where Tab goes on to the first pane.
 * @param {Element} notice
 */
function removeNotice(notice) {
  const hadFocus = notice.contains(document.activeElement);
  const box = notice.parentElement;
  const next = notice.nextElementSibling ?? notice.previousElementSibling;
  notice.remove();
  if (!hadFocus) return;
  const button = next?.querySelector("button:not([hidden])");
  if (button instanceof HTMLElement) button.focus();
  else box?.closest("main")?.focus();
}
