/** Shows above a composer what goes with its text, the quote and the other rooms, and sends it. */

import { part } from "../dom/templates.js";
import { allRoomsQuestion, GONE, manyWords, wideWords } from "../model/carry_strings.js";
import { acrossOf, copyId, findWider } from "../model/extras.js";
import { gettext } from "../model/language.js";
import { uuid } from "../model/outbox_store.js";
import { linkTo } from "./quote_view.js";
import { RoomField } from "./room_field.js";

/** @import {Drafts} from "../model/drafts.js" */
/** @import {Extras} from "../model/extras.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {Attached, Room} from "../model/protocol.js" */
/** @import {QuoteView} from "./quote_view.js" */

/** A composer. @typedef {HTMLElement & {text: string, type: number, extras: Extras | null, attached: Attached | null, clear: () => void}} Composer */
/**
 * @typedef {{
 *   rooms: () => Map<string, Room>,
 *   composerOf: (room: string) => Composer | undefined,
 *   isStaff: boolean,
 *   outbox: Outbox,
 *   drafts: Drafts,
 *   prepareToSend: (room: string) => void,
 *   askFirst: (question: string, what: {text: string, label: string, confirmed: () => void}) => void,
 * }} ChipsPage
 */

/** A message to more rooms is sent by a second Enter. */
const FEW_ROOMS = 10;

export class ComposerChips {
  #page;
  #quoteView;
  /** @type {WeakMap<Composer, RoomField>} */
  #fields = new WeakMap();
  /** What the next Enter sends, because the user was asked, and the question that was shown. @type {WeakMap<Composer, {state: string, question: string}>} */
  #asked = new WeakMap();

  /** @param {ChipsPage} page @param {QuoteView} quoteView */
  constructor(page, quoteView) {
    this.#page = page;
    this.#quoteView = quoteView;
  }

  /** Show the quote and the other rooms of a room's draft. @param {string} room */
  show(room) {
    const composer = this.#page.composerOf(room);
    if (!composer || (!composer.extras && !this.#fields.has(composer))) return;
    this.#forgetQuestion(composer);
    const { source, also } = composer.extras ?? {};
    const box = part(composer, "extras");
    const field = this.#fieldOf(composer, room);
    part(composer, "count").textContent = also?.length ? `${also.length + 1}` : "";
    part(composer, "also").ariaExpanded = String(also !== undefined);
    field.element.hidden = also === undefined;
    field.showRooms(
      (also ?? []).map((id) => this.#page.rooms().get(id)).filter((other) => other !== undefined),
    );
    const key = source ? `${source.room}.${source.seq}` : "";
    if (box.dataset.quote === key) return;
    box.dataset.quote = key;
    box.querySelector(".quoting")?.remove();
    if (source) box.prepend(this.#quoting(composer, source));
  }

  /** The other rooms are shown or hidden. @param {string} room */
  toggleRooms(room) {
    const composer = this.#page.composerOf(room);
    if (!composer || !part(composer, "editing").hidden) return;
    const { also, all: _all, ...rest } = composer.extras ?? {};
    if (also?.length === 0) {
      composer.extras = orNull(rest);
      return composer.focus();
    }
    if (!also) composer.extras = { ...rest, also: [] };
    this.show(room);
    this.#fieldOf(composer, room).focus();
  }

  /** Send a draft with its quote into its rooms, after a second Enter if more people could read it than its writer may expect. @param {string} room */
  send(room) {
    const composer = this.#page.composerOf(room);
    const own = this.#page.rooms().get(room);
    if (!composer || !own) return;
    const { source, also = [], all = false } = composer.extras ?? {};
    const others = also
      .map((id) => this.#page.rooms().get(id))
      .filter((other) => other !== undefined);
    if (others.length < also.length) {
      composer.extras = { ...composer.extras, also: others.map(({ id }) => id) };
      return this.#ask(composer, GONE);
    }
    // Only a question that was shown is answered by Enter: each of them alone could be overlooked.
    const question = [
      all || also.length >= FEW_ROOMS ? manyWords(also.length + 1) : "",
      this.#wideQuestion([own, ...others], source),
    ]
      .filter(Boolean)
      .join(" ");
    const asked = this.#asked.get(composer);
    if (question && (asked?.question !== question || asked.state !== stateOf(composer)))
      return this.#ask(composer, question);
    if (others.length && composer.attached?.holds(others)) {
      part(composer, "again").hidden = true; // the user has answered
      return;
    }
    this.#post(room, composer, [own, ...others]);
  }

  /** @param {string} room @param {Composer} composer @param {Room[]} rooms its own room first */
  #post(room, composer, rooms) {
    const { outbox, drafts } = this.#page;
    const { source, replyTo } = composer.extras ?? {};
    const isBlank = composer.text.trim() === "";
    const text = isBlank ? (source ? linkTo(source) : "") : composer.text;
    this.#page.prepareToSend(room);
    const id = drafts.idFor(room, composer.text) ?? uuid();
    const { attached } = composer;
    const across = rooms.length > 1 ? acrossOf(id) : undefined;
    // The room's own message is the last, because it ends the draft: after a crash in between, the draft is there again,
    // and sends the copies under the same ids.
    for (const { id: to, title } of rooms.toReversed())
      outbox.add(to, text, {
        client_id: to === room ? id : copyId(id, to),
        ...{ title, type: composer.type, across, source },
        ...(attached && { files: attached.filesFor(to) }),
        ...(to === room && { replyTo }), // a message of this room
      });
    attached?.take(rooms.slice(1));
    drafts.removeSent(room);
    composer.clear();
    // A user who types in another pane, while the message waits for its files, goes on there.
    const { activeElement } = document;
    if (activeElement === document.body || composer.contains(activeElement)) composer.focus();
  }

  /** @param {Room[]} rooms @param {Extras["source"]} source */
  #wideQuestion(rooms, source) {
    const sourceRoom = source && this.#page.rooms().get(source.room);
    const found = findWider(source ? [sourceRoom, ...rooms] : rooms, rooms);
    if (!found) return "";
    return wideWords(found.narrow, found.wide, source !== undefined && found.narrow === sourceRoom);
  }

  /** @param {Composer} composer @param {string} question */
  #ask(composer, question) {
    this.#asked.set(composer, { state: stateOf(composer), question });
    this.#say(composer, question);
  }

  /** @param {Composer} composer @param {string} sentence */
  #say(composer, sentence) {
    const again = part(composer, "again");
    again.hidden = false;
    again.textContent = sentence;
    composer.addEventListener("input", () => this.#forgetQuestion(composer), { once: true });
  }

  /** @param {Composer} composer */
  #forgetQuestion(composer) {
    if (this.#asked.get(composer)?.state === stateOf(composer)) return;
    this.#asked.delete(composer);
    part(composer, "again").hidden = true;
  }

  /** @param {Composer} composer @param {NonNullable<Extras["source"]>} source */
  #quoting(composer, source) {
    const quoting = document.createElement("div");
    quoting.className = "quoting";
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "icon";
    remove.ariaLabel = remove.title = gettext("Remove quote");
    remove.textContent = "×";
    remove.addEventListener("click", () => {
      const { source: _source, ...rest } = composer.extras ?? {};
      composer.extras = orNull(rest);
      composer.focus();
    });
    quoting.append(this.#quoteView.chipOf(source, null), remove);
    return quoting;
  }

  /** @param {Composer} composer @param {string} room */
  #fieldOf(composer, room) {
    const known = this.#fields.get(composer);
    if (known) return known;
    const change = (/** @type {(also: string[]) => string[]} */ changed) => {
      composer.extras = { ...composer.extras, also: changed(composer.extras?.also ?? []) };
      composer.attached?.roomsChanged?.();
    };
    const others = () =>
      [...this.#page.rooms().values()].filter(
        ({ id, archived }) => id !== room && !archived && !composer.extras?.also?.includes(id),
      );
    const field = new RoomField(room, {
      candidates: others,
      add: (id) => change((also) => [...also, id]),
      remove: (id) => change((also) => also.filter((other) => other !== id)),
      leave: () => {
        if (composer.extras?.also?.length === 0) this.toggleRooms(room);
        composer.focus();
      },
      addAll: this.#page.isStaff
        ? () => {
            const rooms = others().filter(({ kind }) => kind !== "direct");
            const confirmed = () => {
              change((also) => [...also, ...rooms.map(({ id }) => id)]);
              composer.extras = { ...composer.extras, all: true };
              composer.focus();
            };
            const text = rooms.map(({ title }) => title).join(", ");
            const label = gettext("Add these rooms");
            this.#page.askFirst(allRoomsQuestion(rooms.length), { text, label, confirmed });
          }
        : null,
    });
    this.#fields.set(composer, field);
    part(composer, "extras").append(field.element);
    return field;
  }
}

/** @param {Composer} composer */
function stateOf({ text, type, extras, attached }) {
  return JSON.stringify([text, type, extras, attached?.size ?? 0]);
}

/** @param {Extras} extras */
function orNull(extras) {
  return Object.keys(extras).length ? extras : null;
}
