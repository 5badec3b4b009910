/** <room-pane>: a room's box on the page, with its head, alerts, log and composer. */

import { copy, part, setHue, setLine, setText, showName, updateNames } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { aboveWords, againWords, belowWords, PEEKED, typingWords } from "../model/strings.js";
import { Writers } from "../model/typing.js";

/** @import {UndoOffer} from "../lazy/undo_offer.js" */
/** @import {Pinned} from "../model/alerts.js" */
/** @import {Composer, ComposerActions} from "./composer.js" */
/** @import {MessageList, ShowAnswers, ShowQuotes} from "../log/message_list.js" */
/** @import {Extras} from "../model/extras.js" */
/** @import {People} from "./people.js" */
/** @import {PinnedAlerts} from "./pinned_alerts.js" */
/** @import {Me} from "../model/own.js" */
/** @import {Limits, PresentFrame, Room} from "../model/protocol.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Edges} from "../model/workspace.js" */

/** What a pane can do. @typedef {{closePane: () => void, loadHistory: (way: "older" | "newer") => void, jumpToNew: () => void, jumpToNewest: () => void, openDirect: (name: string) => void, deactivate: (name: string) => void, addPeople: () => void, checkRead: () => void, cancelWaitingJump: () => void, trimTo: (first: number, last: number) => void, dismissAlert: (id: string) => void, openMenu: (button: HTMLElement) => void, openMessageMenu: (button: HTMLElement, message: Message) => void, editMessage: (message: Message) => void, reply: (message: Message) => void, react: (button: HTMLElement, message: Message) => void, showAnswers: ShowAnswers, undoMessage: (message: Message) => void, showQuotes: ShowQuotes, openDayMenu: (button: HTMLElement, at: string) => void, retryMessage: (clientId: string) => void, restoreMessage: (clientId: string) => void, discardMessage: (clientId: string) => void} & Omit<ComposerActions, "editLast" | "messageOf">} PaneActions */

export class RoomPane extends HTMLElement {
  room = "";
  /** @type {Pick<PaneActions, "loadHistory" | "trimTo"> | undefined} */
  #actions;
  #inside = copy("pane-template");
  // Found once, because a search at every message would go through the whole log.
  list = /** @type {MessageList} */ (part(this.#inside, "list"));
  composer = /** @type {Composer} */ (part(this.#inside, "composer"));
  pinned = /** @type {PinnedAlerts} */ (part(this.#inside, "pinned"));
  /** Edit the reader's newest message. */
  editLast = () => {};
  #above = part(this.#inside, "above");
  #below = part(this.#inside, "below");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;
  /** @type {UndoOffer | undefined} */
  #undo;
  /** The button is needed when a message was sent. @type {() => Promise<UndoOffer | undefined>} */
  #loadUndo = async () => undefined;
  #writers = new Writers((names) => {
    const typing = part(this, "typing");
    showName(typing, () => setText(typing, typingWords(names)));
  });

  /**
   * @param {Room} room
   * @param {{me: Me & {staff: boolean}, limits: Limits, draft: {text: string, type: number, extras: Extras | null}, actions: PaneActions}} page
   */
  configure(room, { me, limits, draft, actions }) {
    this.room = room.id;
    this.#actions = actions;
    this.append(this.#inside);
    this.setAttribute("role", "region");
    setHue(this, room.id);
    part(this, "close").addEventListener("click", actions.closePane);
    const more = part(this, "more-button");
    more.addEventListener("click", () => actions.openMenu(more));
    /** @type {People} */ (part(this, "people")).configure(me, actions);
    this.#loadUndo = async () => {
      const { UndoOffer } = await import("lazy/undo_offer");
      this.#undo ??= new UndoOffer(part(this, "undo"), {
        undo: actions.undoMessage,
        leave: () => this.list.focus({ preventScroll: true }),
      });
      return this.#undo;
    };
    this.pinned.configure(actions.dismissAlert, () => this.list.focus());
    this.#above.addEventListener("click", actions.jumpToNew);
    this.#below.addEventListener("click", actions.jumpToNewest);
    const onscroll = () => {
      this.#scrolled();
      actions.checkRead();
    };
    const { cancelWaitingJump: onmoved, showQuotes, showAnswers } = actions;
    this.list.configure(me, { onscroll, onmoved, showQuotes, showAnswers });
    this.list.addEventListener("click", (event) => this.#messageClicked(event, actions));
    this.editLast = () => {
      const last = this.list.lastOwn;
      if (last) actions.editMessage(last);
    };
    this.showRoom(room);
    const messageOf = (/** @type {number} */ seq) =>
      this.list.messageAt(this.list.elementOf(seq) ?? null);
    this.composer.configure(limits, { ...actions, editLast: this.editLast, messageOf });
    this.composer.showTypes(me.staff);
    this.composer.showDraft(draft.text);
    this.composer.type = draft.type;
    this.composer.showExtras(draft.extras);
    part(this, "title").id = `title-${room.id}`;
    // Every pane has these buttons, so they are described by the room's title.
    const described = [
      "close",
      "more-button",
      "new-line",
      "attach",
      "emoji",
      "also",
      "send",
      "undo",
    ];
    for (const name of described)
      part(this, name).setAttribute("aria-describedby", `title-${room.id}`);
    part(this, "unsent").addEventListener("click", (event) => unsentClicked(event, actions));
  }

  /** Show the room's title, and whether it is for staff. @param {Room} room */
  showRoom(room) {
    this.setAttribute("aria-label", room.title);
    this.classList.toggle("archived", room.archived === true);
    setLine(part(this, "title"), room.title);
    part(this, "staff-only").hidden = !room.staff_only;
    part(this, "members-only").hidden = room.kind !== "members";
    const topic = part(this, "topic");
    setLine(topic, room.topic ?? "");
    topic.hidden = !room.topic;
    this.list.setAttribute("aria-label", gettext("Messages in {room}", { room: room.title }));
    this.composer.showRoom(room);
  }

  /** Show whether the pane is provisional. @param {boolean} isPeek */
  showPeek(isPeek) {
    if (this.classList.contains("peek") === isPeek) return;
    this.classList.toggle("peek", isPeek);
    if (isPeek) this.setAttribute("aria-description", PEEKED);
    else this.removeAttribute("aria-description");
  }

  /** Whether most of the pane is in view: panes scroll sideways, and a phone shows one at a time. */
  get isVisible() {
    const { left, right, width } = this.list.getBoundingClientRect();
    // Beyond the row's edges a pane is hidden, also behind the room list.
    const row = this.parentElement?.getBoundingClientRect();
    const visible =
      Math.min(right, row?.right ?? right, innerWidth) - Math.max(left, row?.left ?? left, 0);
    return width > 0 && visible > width / 2 && this.checkVisibility({ visibilityProperty: true });
  }

  /** @param {number} count of new messages above the view */
  showNewAbove(count) {
    if (count > 0) this.#above.textContent = aboveWords(count);
    this.#hide(this.#above, count === 0);
  }

  /** Offer to take back a sent message for a while. @param {Message} message @param {number} ms */
  offerUndo(message, ms) {
    // If it can't be loaded, the message's menu deletes it too.
    this.#loadUndo().then(
      (undo) => undo?.add(message, ms),
      () => {},
    );
  }

  /** Move the pane without scrolling its log. @param {() => void} change */
  keepScroll(change) {
    const { scrollTop } = this.list;
    change();
    this.list.scrollTop = scrollTop;
  }

  /** @param {string} username */
  showTyping(username) {
    this.#writers.isWriting(username);
  }

  /** Users are shown by other names. What is read keeps its place. */
  updateNames() {
    this.list.keepStill(() => updateNames(this));
  }

  /** Hide who is writing: the user turned it off. */
  clearTyping() {
    this.#writers.clear();
  }

  clearLog() {
    this.clearTyping();
    this.list.clear();
    this.#showBelow();
  }

  /**
   * Show a page of history.
   * @param {Message[]} messages
   * @param {Edges} edges
   */
  showHistory(messages, edges) {
    this.list.showPage(messages, edges);
    for (const message of messages) {
      this.composer.messageChanged(message);
      this.#undo?.messageShown(message);
    }
    this.#showBelow();
    // A page of short messages may not fill a tall pane.
    requestAnimationFrame(() => this.#scrolled());
  }

  /**
   * Show a message that was just posted or changed.
   * @param {Message} message
   * @param {boolean} isNew
   */
  showMessage(message, isNew) {
    if (isNew) this.#writers.hasStopped(message.username);
    this.list.showLive(message);
    this.#undo?.messageShown(message);
    if (isNew && !this.list.isAtBottom) this.list.newBelow += 1;
    this.#showBelow();
    this.#trim();
  }

  /** Show the alerts that this user has not dismissed. @param {Pinned[]} alerts */
  showAlerts(alerts) {
    this.list.keepStill(() => this.pinned.showAlerts(alerts));
    this.list.showPinned(alerts.map(({ id }) => id));
  }

  /** The names of the people in the room. */
  get present() {
    return /** @type {People} */ (part(this, "people")).names;
  }

  /** @param {PresentFrame["present"]} present */
  showPresent(present) {
    /** @type {People} */ (part(this, "people")).showPresent(present);
  }

  /** Say on paper which of the room's messages are printed. */
  showHeld() {
    part(this, "held").textContent = this.list.heldWords;
  }

  /** Scroll to the newest message, as after sending a message. */
  scrollToBottom() {
    this.list.scrollToBottom();
    this.#showBelow();
  }

  /**
   * @param {string} sentence empty: the trouble is over
   * @param {number} [seconds] until the next attempt, shown as a countdown
   */
  showTrouble(sentence, seconds) {
    const trouble = part(this, "trouble");
    clearInterval(this.#countdown);
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
    if (seconds === undefined || sentence === "") return;
    const until = Date.now() + seconds * 1000;
    // Hidden from screen readers, which would read out an alert at each change.
    const countdown = document.createElement("span");
    countdown.ariaHidden = "true";
    trouble.append(countdown);
    const count = () => {
      countdown.textContent = againWords(until - Date.now());
      if (Date.now() >= until) this.showTrouble("");
    };
    this.#countdown = setInterval(count, 500);
    count();
  }

  /** Hide this sentence, unless another one is shown by now. @param {string} sentence */
  dropTrouble(sentence) {
    if (part(this, "trouble").textContent === sentence) this.showTrouble("");
  }

  /**
   * @param {Event} event
   * @param {PaneActions} actions
   */
  #messageClicked({ target }, actions) {
    const button = target instanceof Element ? target.closest("button") : null;
    const message = this.list.messageAt(button);
    if (!button) return;
    const at = button.parentElement?.dataset.at;
    if (at) return actions.openDayMenu(button, at);
    if (!message) return;
    if (button.dataset.part === "act") actions.openMessageMenu(button, message);
    if (button.dataset.part === "react") actions.react(button, message);
    if (button.dataset.part === "reply") actions.reply(message);
  }

  #trim() {
    const range = this.list.trim();
    if (range === null) return;
    this.#actions?.trimTo(...range);
    this.#showBelow();
  }

  #scrolled() {
    this.#showBelow();
    this.#trim();
    if (this.list.wantsOlder) this.#actions?.loadHistory("older");
    if (this.list.wantsNewer) this.#actions?.loadHistory("newer");
  }

  #showBelow() {
    this.#below.textContent = belowWords(this.list.newBelow);
    this.#hide(this.#below, this.list.newBelow === 0 && this.list.isAtHead);
  }

  /** Hide or show a button. If a hidden button had the focus, the log gets it. @param {HTMLElement} button @param {boolean} isHidden */
  #hide(button, isHidden) {
    if (button.hidden === isHidden) return;
    if (isHidden && button === document.activeElement) this.list.focus({ preventScroll: true });
    button.hidden = isHidden;
  }
}

/**
 * A button at an unsent message was clicked.
 * @param {Event} event
 * @param {PaneActions} actions
 */
function unsentClicked(event, actions) {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  const clientId = button?.closest("[data-client-id]")?.getAttribute("data-client-id");
  if (!button || !clientId) return;
  if (button.dataset.part === "retry") actions.retryMessage(clientId);
  else if (button.dataset.part === "restore") actions.restoreMessage(clientId);
  else actions.discardMessage(clientId);
}
