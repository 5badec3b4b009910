/** <room-pane>: one room's box on the page. */

import { copy, copyElement, part, setHue } from "../dom/templates.js";
import { aboveWords, againWords, belowWords } from "../model/strings.js";

/** @import {Pinned} from "../model/alerts.js" */
/** @import {Composer, Wishes as ComposerWishes} from "./composer.js" */
/** @import {MessageList} from "../log/message_list.js" */
/** @import {People} from "./people.js" */
/** @import {PinnedAlerts} from "./pinned_alerts.js" */
/** @import {Me} from "../model/own.js" */
/** @import {Entry} from "../model/outbox_store.js" */
/** @import {Limits, PresentFrame, Room, Signal} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Edges} from "../model/workspace.js" */

/** What a pane asks for. @typedef {{closePane: () => void, loadHistory: (way: "older" | "newer") => void, jumpToNew: () => void, jumpToNewest: () => void, checkRead: () => void, cancelWaitingJump: () => void, trimTo: (first: number, last: number) => void, dismissAlert: (id: string) => void, openMenu: (button: HTMLElement) => void, openMessageMenu: (button: HTMLElement, message: Message) => void, editMessage: (message: Message) => void, undoMessage: (message: Message) => void, retryMessage: (clientId: string) => void, restoreMessage: (clientId: string) => void, discardMessage: (clientId: string) => void} & Omit<ComposerWishes, "editLast" | "messageOf">} Wishes */

export class RoomPane extends HTMLElement {
  room = "";
  /** @type {Wishes["loadHistory"]} */
  #loadHistory = () => {};
  /** @type {Wishes["trimTo"]} */
  #trimTo = () => {};
  #inside = copy("pane-template");
  // Found once: a search on every message would walk the whole log.
  #list = /** @type {MessageList} */ (part(this.#inside, "list"));
  #composer = /** @type {Composer} */ (part(this.#inside, "composer"));
  #above = part(this.#inside, "above");
  #below = part(this.#inside, "below");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;
  /** What can be taken back just now. @type {Set<Message>} */
  #undoable = new Set();

  /**
   * @param {Room} room
   * @param {{me: Me, limits: Limits, draft: string, wishes: Wishes}} page
   */
  configure(room, { me, limits, draft, wishes }) {
    this.room = room.id;
    this.#loadHistory = wishes.loadHistory;
    this.#trimTo = wishes.trimTo;
    this.append(this.#inside);
    this.setAttribute("role", "region");
    setHue(this, room.id);
    part(this, "close").addEventListener("click", wishes.closePane);
    const more = part(this, "more-button");
    more.addEventListener("click", () => wishes.openMenu(more));
    /** @type {People} */ (part(this, "people")).configure();
    this.pinned.configure(wishes.dismissAlert, () => this.#list.focus());
    this.#above.addEventListener("click", wishes.jumpToNew);
    this.#below.addEventListener("click", wishes.jumpToNewest);
    const onscroll = () => {
      this.#scrolled();
      wishes.checkRead();
    };
    this.#list.configure(me, { onscroll, onmoved: wishes.cancelWaitingJump });
    this.#list.addEventListener("click", (event) => this.#clicked(event, wishes));
    const editLast = () => {
      const last = this.#list.lastOwn;
      if (last) wishes.editMessage(last);
    };
    this.showRoom(room);
    const messageOf = (/** @type {number} */ seq) =>
      this.#list.messageAt(this.#list.elementOf(seq) ?? null);
    this.#composer.configure(limits, { ...wishes, editLast, messageOf });
    this.#composer.showDraft(draft);
    part(this, "title").id = `title-${room.id}`;
    // There is one of each in every pane.
    for (const name of ["close", "more-button", "send"])
      part(this, name).setAttribute("aria-describedby", `title-${room.id}`);
    part(this, "unsent").addEventListener("click", (event) => answer(event, wishes));
  }

  get pinned() {
    return /** @type {PinnedAlerts} */ (part(this, "pinned"));
  }

  /** What is written and not sent. */
  get draft() {
    return this.#composer.draft;
  }

  /** Its room has another name, or is for others now. @param {Room} room */
  showRoom(room) {
    this.setAttribute("aria-label", room.title);
    part(this, "title").textContent = room.title;
    part(this, "staff-only").hidden = !room.staff_only;
    this.#list.setAttribute("aria-label", `Messages in ${room.title}`);
    this.#composer.showRoom(room);
  }

  get list() {
    return this.#list;
  }

  /** Whether most of it is in view: panes scroll sideways, and a phone shows one. */
  get isVisible() {
    const { left, right, width } = this.#list.getBoundingClientRect();
    // What is beyond the row's edges is hidden, also behind the room list.
    const row = this.parentElement?.getBoundingClientRect();
    const seen =
      Math.min(right, row?.right ?? right, innerWidth) - Math.max(left, row?.left ?? left, 0);
    return width > 0 && seen > width / 2 && this.checkVisibility({ visibilityProperty: true });
  }

  /** @param {number} count new ones above what is in view */
  showNewAbove(count) {
    if (count > 0) this.#above.textContent = aboveWords(count);
    this.#hide(this.#above, count === 0);
  }

  get composer() {
    return this.#composer;
  }

  /** Let a message be taken back for a while after it was sent. @param {Message} message @param {number} ms */
  offerUndo(message, ms) {
    this.#undoable.add(message);
    this.#showUndo();
    setTimeout(() => {
      this.#undoable.delete(message);
      this.#list.elementOf(message.seq)?.querySelector(".undo")?.remove();
    }, ms);
  }

  /** The message may come with a page, after it was offered. */
  #showUndo() {
    for (const { seq, at } of this.#undoable) {
      const element = this.#list.elementOf(seq);
      // After a restore another message has this number.
      const isIt = this.#list.messageAt(element ?? null)?.at === at;
      if (isIt && !element?.matches(":has(.undo), .deleted"))
        element?.append(copyElement("undo-template"));
    }
  }

  /** Change where the pane stands without moving what is read in it. @param {() => void} change */
  keepScroll(change) {
    const { scrollTop } = this.#list;
    change();
    this.#list.scrollTop = scrollTop;
  }

  focusComposer() {
    this.#composer.focus();
  }

  clearLog() {
    this.#list.clear();
    this.#showBelow();
  }

  /**
   * Show a page of history.
   * @param {Message[]} messages
   * @param {Edges} edges
   */
  showHistory(messages, edges) {
    this.#list.showPage(messages, edges);
    for (const message of messages) this.#composer.messageChanged(message);
    this.#showUndo();
    this.#showBelow();
    // A page of short lines may not fill a tall pane.
    requestAnimationFrame(() => this.#scrolled());
  }

  /**
   * Show a message that was just posted or changed.
   * @param {Message} message
   * @param {boolean} isNew
   */
  showMessage(message, isNew) {
    this.#list.showLive(message);
    this.#composer.messageChanged(message);
    if (isNew && !this.#list.isAtBottom) this.#list.newBelow += 1;
    this.#showBelow();
    this.#trim();
  }

  /** The alerts that this user has not said "Got it" to. @param {Pinned[]} alerts */
  showAlerts(alerts) {
    const { pinned } = this;
    this.#list.keepStill(() => pinned.showAlerts(alerts));
  }

  /** The reader is in another zone. */
  updateZone() {
    this.#list.updateZone();
  }

  /** It is another day. */
  updateDays() {
    this.#list.updateDays();
  }

  /** @param {Signal} signal */
  showSignal(signal) {
    this.#list.showSignal(signal);
  }

  /** @param {PresentFrame["present"]} present */
  showPresent(present) {
    /** @type {People} */ (part(this, "people")).showPresent(present);
  }

  /** @param {Entry[]} entries */
  showUnsent(entries) {
    this.#list.showUnsent(entries);
  }

  /** The writer's own text goes to the bottom, and the writer with it. */
  scrollToBottom() {
    this.#list.scrollToBottom();
    this.#showBelow();
  }

  /**
   * @param {string} sentence empty: all is well again
   * @param {number} [seconds] until it is tried again: counted down
   */
  showTrouble(sentence, seconds) {
    const trouble = part(this, "trouble");
    clearInterval(this.#countdown);
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
    if (seconds === undefined || sentence === "") return;
    const until = Date.now() + seconds * 1000;
    // Hidden from screen readers: an alert that changes every second is read out every second.
    const left = document.createElement("span");
    left.ariaHidden = "true";
    trouble.append(left);
    const count = () => {
      left.textContent = againWords(until - Date.now());
      if (Date.now() >= until) this.showTrouble("");
    };
    this.#countdown = setInterval(count, 500);
    count();
  }

  /** This is over, unless something else is wrong by now. @param {string} sentence */
  dropTrouble(sentence) {
    if (part(this, "trouble").textContent === sentence) this.showTrouble("");
  }

  /**
   * @param {Event} event
   * @param {Wishes} wishes
   */
  #clicked({ target }, { openMessageMenu: act, undoMessage: undo }) {
    const button = target instanceof Element ? target.closest("button") : null;
    const message = this.#list.messageAt(button);
    if (!button || !message) return;
    if (button.dataset.part === "act") act(button, message);
    if (button.dataset.part === "undo") undo(message);
  }

  #trim() {
    const kept = this.#list.trim();
    if (kept === null) return;
    this.#trimTo(...kept);
    this.#showBelow();
  }

  #scrolled() {
    this.#showBelow();
    this.#trim();
    if (this.#list.wantsOlder) this.#loadHistory("older");
    if (this.#list.wantsNewer) this.#loadHistory("newer");
  }

  #showBelow() {
    this.#below.textContent = belowWords(this.#list.newBelow);
    this.#hide(this.#below, this.#list.newBelow === 0 && this.#list.isAtHead);
  }

  /** The keys go from a button that is hidden to the log. @param {HTMLElement} button @param {boolean} isHidden */
  #hide(button, isHidden) {
    if (button.hidden === isHidden) return;
    if (isHidden && button === document.activeElement) this.#list.focus({ preventScroll: true });
    button.hidden = isHidden;
  }
}

/**
 * A button was pressed at a text that was not sent.
 * @param {Event} event
 * @param {Wishes} wishes
 */
function answer(event, wishes) {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  const clientId = button?.closest("[data-client-id]")?.getAttribute("data-client-id");
  if (!button || !clientId) return;
  if (button.dataset.part === "retry") wishes.retryMessage(clientId);
  else if (button.dataset.part === "restore") wishes.restoreMessage(clientId);
  else wishes.discardMessage(clientId);
}
