/** Shows what a message answers as a link above its text, and above a composer what its draft answers. */

import { nodesOf } from "../dom/sentence.js";
import { part, setText, showName } from "../dom/templates.js";
import { firstWords, SOURCE } from "../model/answer_words.js";
import { gettext } from "../model/language.js";
import { isTransient } from "../model/protocol.js";
import { Quotes } from "../model/quotes.js";
import { authorWords } from "../model/strings.js";

/** @import {Extras} from "../model/extras.js" */
/** @import {Send} from "../model/outbox.js" */
/** @import {ErrorFrame} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */

/** The log that a reply is in. @typedef {HTMLElement & {messageAt: (element: Element | null) => Message | undefined, elementOf: (seq: number) => HTMLElement | undefined, keepStill: (change: () => void) => void, followBottom: () => void}} ReplyLog */
/** @typedef {HTMLElement & {extras: Extras | null, focus: () => void}} ReplyComposer */
/** @typedef {{room: string, list: ReplyLog, composer: ReplyComposer}} ReplyPane */
/** @typedef {{ask: Send, open: (room: string, seq: number) => void, me: number, panes: () => ReplyPane[]}} ReplyPage */

const RETRY_AFTER_S = 2;

export class Replies {
  #page;
  /** The sources that no log holds. */
  quotes;

  /** @param {ReplyPage} page */
  constructor(page) {
    this.#page = page;
    this.quotes = new Quotes(page.ask);
    this.quotes.onchange = (room, seqs) => {
      for (const seq of seqs) this.#refill(room, seq);
    };
  }

  /** Show what a message answers. @param {string} room @param {ReplyLog} list @param {HTMLElement} element @param {Pick<Message, "replyTo" | "deleted">} message */
  showSource(room, list, element, { replyTo, deleted }) {
    const shown = element.querySelector(".reply-to");
    if (deleted || replyTo === undefined) return shown?.remove();
    const link = shown instanceof HTMLElement ? shown : this.#newLink(room, replyTo);
    this.#fill(link, room, replyTo, list);
    if (!link.isConnected) part(element, "text").parentElement?.before(link);
  }

  /** Show above a composer what its draft answers. @param {string} room */
  showTarget(room) {
    const pane = this.#paneOf(room);
    if (!pane) return;
    const { composer, list } = pane;
    const box = part(composer, "extras");
    const { replyTo } = composer.extras ?? {};
    const shown = box.querySelector(".replying");
    if (replyTo === undefined) return shown?.remove();
    const bar = shown instanceof HTMLElement ? shown : this.#newBar(composer);
    const words = /** @type {HTMLElement} */ (bar.firstElementChild);
    this.#fill(words, room, replyTo, list);
    if (!bar.isConnected) box.prepend(bar);
  }

  /** A message was edited or deleted. @param {string} room @param {number} seq */
  sourceChanged(room, seq) {
    this.quotes.forget(room, seq);
    this.#refill(room, seq);
  }

  /** @param {ErrorFrame} frame */
  refused(frame) {
    if (isTransient(frame))
      setTimeout(() => this.quotes.connected(), (frame.retry_after ?? RETRY_AFTER_S) * 1000);
    else if (frame.room !== undefined) this.quotes.refused(frame.room);
  }

  /** @param {string} room */
  #paneOf(room) {
    return this.#page.panes().find((pane) => pane.room === room);
  }

  /** @param {string} room @param {number} seq */
  #refill(room, seq) {
    const pane = this.#paneOf(room);
    if (!pane) return;
    const { list, composer } = pane;
    const links = list.querySelectorAll(`.reply-to[data-source="${seq}"]`);
    const refill = () => {
      for (const link of links) this.#fill(/** @type {HTMLElement} */ (link), room, seq, list);
    };
    // A reply's first line is one line whatever stands in it, but a missing source may be shown differently.
    if (links.length) list.keepStill(refill);
    if (composer.extras?.replyTo === seq) this.showTarget(room);
  }

  /** @param {string} room @param {number} seq */
  #newLink(room, seq) {
    const link = document.createElement("a");
    link.className = "reply-to";
    link.href = `/?rooms=${room}&at=${room}.${seq}`;
    link.dataset.source = String(seq);
    link.dir = "auto";
    link.tabIndex = -1; // log/keyboard.js puts it into the order of the focused message
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
      event.preventDefault();
      this.#page.open(room, seq);
    });
    return link;
  }

  /** @param {ReplyComposer} composer */
  #newBar(composer) {
    const bar = document.createElement("p");
    bar.className = "editing replying";
    bar.role = "status";
    const words = document.createElement("span");
    words.dir = "auto";
    const cancel = document.createElement("button");
    cancel.type = "button";
    cancel.textContent = gettext("Cancel");
    cancel.ariaLabel = gettext("Cancel reply");
    cancel.addEventListener("click", () => {
      const { replyTo: _replyTo, ...rest } = composer.extras ?? {};
      composer.extras = Object.keys(rest).length ? rest : null;
      composer.focus();
    });
    bar.append(words, cancel);
    return bar;
  }

  /** Name the author and the first words of a message. A deleted message is not quoted. @param {HTMLElement} element @param {string} room @param {number} seq @param {ReplyLog} list */
  #fill(element, room, seq, list) {
    const held = list.messageAt(list.elementOf(seq) ?? null);
    const quoted = held ? undefined : this.quotes.messageOf(room, seq);
    const source = held ?? quoted;
    // While it is asked for again, what stands there is not replaced by less.
    if (source === undefined && element.hasChildNodes()) return;
    const text = held ? held.text : (quoted?.message ?? null);
    if (!source || source.deleted || text === null) {
      const why = source === undefined ? SOURCE.loading : source ? SOURCE.deleted : SOURCE.missing;
      return setText(element, why);
    }
    const author = document.createElement("b");
    author.dir = "auto";
    showName(author, () => setText(author, authorWords(source)));
    const words = document.createElement("bdi");
    words.textContent = firstWords(text);
    const sentence = gettext("Reply to {author}: {text}");
    element.replaceChildren(...nodesOf(sentence, { author: [author], text: [words] }));
  }
}
