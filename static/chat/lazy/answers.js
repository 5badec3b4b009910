/** What answers a message: its reactions, and the messages that reply to it. Loaded when the first of them is shown or made. */

import { PendingReactions } from "../model/pending_reactions.js";
import { sentenceFor } from "../model/strings.js";
import { followLongPress } from "./long_press.js";
import { showReactions } from "./reaction_buttons.js";
import { Replies } from "./replies.js";

/** @import {Outcome} from "../model/changes.js" */
/** @import {Send} from "../model/outbox.js" */
/** @import {Change, ErrorFrame, Event, QuotedFrame} from "../model/protocol.js" */
/** @import {Store} from "../model/outbox_store.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Tabs} from "../model/tabs.js" */
/** @import {ReplyComposer, ReplyLog} from "./replies.js" */

/** @typedef {ReplyLog & {messages: Message[]}} Log */
/** What is answered, also by a message that is not sent yet. @typedef {Pick<Message, "seq" | "replyTo" | "deleted" | "reactions">} Answered */
/**
 * @typedef {{
 *   me: {id: number, username: string},
 *   store: Store,
 *   tabs: Pick<Tabs, "id" | "isClosed">,
 *   panes: () => {room: string, list: Log, composer: ReplyComposer}[],
 *   isArchived: (room: string) => boolean,
 *   ask: Send,
 *   change: (change: Change, outcome: Outcome, clientId: string) => void,
 *   epochOf: (room: string) => string | undefined,
 *   cursorOf: (room: string) => number,
 *   open: (room: string, seq: number) => void,
 *   chooseEmoji: (anchor: HTMLElement) => Promise<string | null>,
 *   showTrouble: (room: string, sentence: string) => void,
 * }} AnswerPage
 */

export class Answers {
  #page;
  #pending;
  #replies;

  /** @param {AnswerPage} page */
  constructor(page) {
    this.#page = page;
    const { me, store, tabs, change, epochOf, cursorOf } = page;
    this.#pending = new PendingReactions({
      ...{ me, store, tabs, change, epochOf, cursorOf },
      changed: (room, seq) => this.#redraw(room, seq),
      refused: (room, { error, detail }) => page.showTrouble(room, sentenceFor(error, detail)),
    });
    this.#replies = new Replies({
      ...{ ask: page.ask, open: page.open, me: me.id },
      panes: () => page.panes(),
    });
    followLongPress(document.documentElement);
  }

  /** Show everything that is there already. */
  showAll() {
    for (const { room, list } of this.#page.panes()) {
      const show = () => {
        for (const message of list.messages) {
          const element = list.elementOf(message.seq);
          if (element && (message.reactions.length || message.replyTo !== undefined))
            this.show(room, list, element, message);
        }
        for (const element of list.querySelectorAll("[data-reply-to]"))
          if (element instanceof HTMLElement)
            this.#replies.showSource(room, list, element, {
              replyTo: Number(element.dataset.replyTo),
              deleted: false,
            });
      };
      list.keepStill(show);
      list.followBottom();
    }
  }

  /** Show the reactions of a message, and what it answers. @param {string} room @param {Log} list @param {HTMLElement} element @param {Answered} message */
  show(room, list, element, message) {
    this.#replies.showSource(room, list, element, message);
    const reactions = message.deleted ? [] : this.#pending.shownOf(room, message);
    showReactions(element, reactions, {
      me: this.#page.me.id,
      isArchived: this.#page.isArchived(room),
      toggle: (emoji, on) => this.#pending.react(room, message.seq, emoji, on),
    });
    const isAnswered = reactions.length > 0 || element.querySelector(".reply-to") !== null;
    element.classList.toggle("answered", isAnswered);
  }

  /** Show above a composer which message its draft answers. @param {string} room */
  showExtras(room) {
    this.#replies.showTarget(room);
  }

  /** Let the user choose a reaction to a message. @param {string} room @param {HTMLElement} anchor @param {number} seq */
  async react(room, anchor, seq) {
    const emoji = await this.#page.chooseEmoji(anchor);
    if (emoji !== null && !this.#page.isArchived(room)) this.#pending.react(room, seq, emoji, true);
  }

  /** @param {string} room */
  roomJoined(room) {
    this.#pending.roomJoined(room);
  }

  /** @param {string} room @param {Event} event */
  eventApplied(room, event) {
    this.#pending.eventApplied(room, event);
    const seq =
      "edited" in event ? event.edited : "deleted" in event ? Number(event.deleted) : null;
    // The list shows the change first.
    if (seq !== null) queueMicrotask(() => this.#replies.sourceChanged(room, seq));
  }

  /** @param {QuotedFrame} frame */
  quotesReceived(frame) {
    this.#replies.quotes.applyFrame(frame);
  }

  /** @param {ErrorFrame} frame */
  questionRefused(frame) {
    this.#replies.refused(frame);
  }

  /** The connection is open. */
  connected() {
    this.#replies.quotes.connected();
  }

  /** A room's messages left the page: they may be those of another log, or of another user. @param {string} room */
  logCleared(room) {
    this.#replies.quotes.forgetRoom(room);
  }

  /** @param {string} room @param {number} seq */
  #redraw(room, seq) {
    const list = this.#page.panes().find((pane) => pane.room === room)?.list;
    const element = list?.elementOf(seq);
    const message = list?.messageAt(element ?? null);
    if (!list || !element || !message) return;
    list.keepStill(() => this.show(room, list, element, message));
    list.followBottom();
  }
}
