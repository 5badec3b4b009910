/** Dispatches what the user does, in a pane, by menu or by key, to the part of the page that does it. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";
import { isComposing, isTextField } from "../dom/text_box.js";
import { gettext } from "../model/language.js";
import { chordWords, Shortcuts } from "../model/shortcuts.js";
import { Answering } from "./answering.js";
import { followDrops } from "./carry_drag.js";
import { Carrying } from "./carrying.js";
import { Jumps } from "./jumps.js";
import { Menus } from "./menus.js";
import { MessageActions } from "./message_actions.js";
import { MyMentions } from "./my_mentions.js";
import { Navigation } from "./navigation.js";
import { IS_MAC, isSelectingText, showChords } from "./shortcuts.js";

/** @import {Asked} from "../lazy/confirm_dialog.js" */
/** @import {Attachments} from "./attachments.js" */
/** @import {FileFacts} from "../model/files.js" */
/** @import {Alerts} from "../model/alerts.js" */
/** @import {EmojiSource} from "./emoji_source.js" */
/** @import {Extras} from "../model/extras.js" */
/** @import {Message} from "../model/room_log.js" */
/** @import {Drafts} from "../model/drafts.js" */
/** @import {Source} from "../model/protocol.js" */
/** @import {Lists} from "./menus.js" */
/** @import {Notices} from "../dom/notices.js" */
/** @import {Outbox} from "../model/outbox.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {ReadTracker} from "./read_tracker.js" */
/** @import {Preferences} from "../model/preferences.js" */
/** @import {Option} from "../lazy/switcher.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {Store} from "../model/outbox_store.js" */
/** @import {Tabs} from "../model/tabs.js" */
/** @import {RoomRow} from "./room_row.js" */
/** @import {ShortcutName} from "../model/shortcuts.js" */
/** @import {PaneActions} from "../pane/room_pane.js" */
/** @import {Rooms} from "./rooms.js" */
/** @import {Unread} from "../model/unread.js" */
/** @import {Workspace} from "../model/workspace.js" */

/** What the browser keeps of a user. @typedef {{outbox: Outbox, drafts: Drafts, alerts: Alerts, preferences: Preferences, unread: Unread, store: Store, tabs: Tabs}} UserData */

/** The dialogs that show what stands in a room. */
const SHOWS_ROOM = new Set(["room-dialog", "confirm-dialog", "file-viewer"]);

export class UserActions {
  #workspace;
  #panes;
  #list;
  #readTracker;
  #userData;
  #emoji;
  #attachments;
  #me;
  menus;
  #shortcuts;
  #keysDialog;
  #messageActions;
  carrying;
  #rooms;
  answering;
  #saying;
  navigation;
  catchUp;
  #mentions;
  jumps;

  /**
   * @param {Workspace} workspace
   * @param {{panes: PaneRow, list: RoomList, rooms: Rooms, notices: Notices, notLoaded: () => void, readTracker: ReadTracker, user: {id: number, staff: boolean, username: string}, userData: UserData, emoji: EmojiSource, attachments: Attachments, moreOptions: (typed: string) => Option[]}} page
   */
  constructor(workspace, page) {
    const { panes, list, rooms, notices, notLoaded, readTracker, user, userData, emoji } = page;
    this.#attachments = page.attachments;
    this.#workspace = workspace;
    this.#panes = panes;
    this.#list = list;
    this.#readTracker = readTracker;
    this.#userData = userData;
    this.#emoji = emoji;
    this.#me = user;
    this.#rooms = rooms;
    this.#saying = { notices, notLoaded };
    this.menus = new Menus(part(document, "menu"), (keys) => chordWords(keys, IS_MAC), notLoaded);
    this.#shortcuts = new Shortcuts(userData.preferences, IS_MAC);
    this.navigation = new Navigation(panes, {
      ...{ workspace, list, preferences: userData.preferences },
      ...{ notLoaded, moreOptions: page.moreOptions },
      openDirect: (name) => void rooms.openDirect(name),
      showNewest: (room) => this.jumps.jumpToNewest(room),
    });
    this.carrying = new Carrying(
      {
        ...userData,
        ...{ workspace, panes, notices, user },
        open: ({ room, seq }) => this.showFound(room, seq, false),
        prepareToSend: (room) => this.#prepareToSend(room),
        askFirst: this.askFirst,
      },
      notLoaded,
    );
    followDrops(part(document, "panes"), (room, source) => this.#quoteIn(room, source));
    this.answering = new Answering(
      {
        me: user,
        ...{ store: userData.store, tabs: userData.tabs },
        panes: () => panes.all,
        isArchived: (room) => this.#isArchived(room),
        ask: (command) => workspace.ask(command),
        change: (...change) => workspace.changeMessage(...change),
        epochOf: (room) => workspace.epochOf(room),
        cursorOf: (room) => workspace.cursorOf(room),
        open: (room, seq) => {
          const list = panes.get(room)?.list;
          if (list?.elementOf(seq)) list.scrollToMessage(seq);
          else this.jumpToMessage(room, seq);
        },
        chooseEmoji: (anchor) => emoji.choose(anchor),
        showTrouble: (room, sentence) => panes.get(room)?.showTrouble(sentence),
      },
      notLoaded,
    );
    this.#messageActions = new MessageActions(panes, {
      ...{ workspace, readTracker, user, notices, notLoaded },
      carrying: this.carrying,
      drafts: userData.drafts,
    });
    this.jumps = new Jumps(panes, {
      workspace,
      dialog: new LazyPart(async () => {
        const { DayDialog } = await import("lazy/day_dialog");
        return new DayDialog(part(document, "day-dialog"));
      }, notLoaded),
      notices,
      readOf: (room) => userData.unread.readOf(room),
    });
    const source = {
      load: (/** @type {number | undefined} */ before) => workspace.findMentions(before),
      titleOf: (/** @type {string} */ room) => this.#titleOf(room),
      open: (/** @type {string} */ room, /** @type {number} */ seq) => {
        list.collapse();
        this.peekRoom(room);
        this.jumpToMessage(room, seq);
      },
    };
    this.#mentions = new MyMentions(part(document, "mentions"), source, notLoaded);
    const button = part(document, "my-menu");
    button.addEventListener("click", () =>
      this.menus.open(button, gettext("Settings"), (lists) =>
        lists.settingItems(userData.preferences),
      ),
    );
    this.catchUp = new LazyPart(async () => {
      const { CatchUp } = await import("lazy/catch_up");
      const { navigation, menus } = this;
      const { unread } = userData;
      const shortcuts = this.#shortcuts;
      return new CatchUp(panes, { navigation, readTracker, workspace, unread, menus, shortcuts });
    }, notLoaded);
    part(document, "catch-up-button").addEventListener("click", () => this.#startCatchUp());
    this.#keysDialog = new LazyPart(async () => {
      const { KeysDialog } = await import("lazy/keys_dialog");
      return new KeysDialog(part(document, "keys-dialog"), userData.preferences, IS_MAC);
    }, notLoaded);
    userData.preferences.follow("shortcuts", () => showChords(this.#shortcuts));
    list.onmenu = (row) => this.#openRowMenu(row);
    document.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** Look at a room that the user asked for. While they catch up, only the room of the moment is shown. @param {string} room */
  peekRoom(room) {
    this.catchUp.loaded?.finish();
    this.navigation.peekRoom(room);
  }

  /** Go to the message that the address names. @param {string} room @param {number} seq */
  jumpToMessage(room, seq) {
    this.#readTracker.skipUnread(room);
    this.#panes.scrollToPane(room);
    this.jumps.jumpToMessage(room, seq);
  }

  /** Ask before something that cannot be taken back. @param {string} question @param {Asked} what */
  askFirst = (question, what) => this.#messageActions.askFirst(question, what);

  /** Close everything that lies over the panes, because it shows something of rooms. */
  closeOverlays() {
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    for (const popover of document.querySelectorAll(":popover-open"))
      if (popover instanceof HTMLElement) popover.hidePopover();
    this.catchUp.loaded?.finish();
    this.#messageActions.endSameMoment();
    this.forgetRooms();
  }

  /** A room is gone, or the reader may not see it any more: nothing outside its pane shows what stood in it. */
  forgetRooms() {
    LazyPart.cancelAll();
    for (const dialog of document.querySelectorAll("dialog"))
      if (SHOWS_ROOM.has(dialog.dataset.part ?? "")) dialog.close();
    this.#mentions.clear();
    this.navigation.hideReopenOffer();
    this.carrying.loaded?.roomsChanged();
  }

  /** Show a message that a search found, in its room's pane. @param {string} id @param {number} seq @param {boolean} isFinal whether the focus goes there @param {Room} [room] if the list may not have it */
  showFound(id, seq, isFinal, room) {
    if (isFinal || !this.#panes.get(id)) this.navigation.peekRoom(id, room);
    if (this.#panes.get(id)) this.jumpToMessage(id, seq);
  }

  /** What a pane can do. @param {string} id @returns {PaneActions} */
  actionsFor(id) {
    const { outbox, drafts, alerts } = this.#userData;
    return {
      closePane: () => {
        this.navigation.closeRoom(id);
        this.#list.focusRoom(id);
      },
      loadHistory: (way) => this.#workspace.requestHistory(id, way),
      trimTo: (first, last) => this.#workspace.trimTo(id, first, last),
      jumpToNew: () => this.jumps.jumpToNew(id),
      jumpToNewest: () => this.jumps.jumpToNewest(id),
      openDirect: (name) => void this.#rooms.openDirect(name),
      deactivate: (name) => void this.#deactivate(name),
      addPeople: () => this.#rooms.showSettings(id, true),
      checkRead: () => this.#readTracker.checkSoon(),
      cancelWaitingJump: () => this.jumps.cancelWaitingJump(id),
      dismissAlert: (alert) => alerts.gotIt(id, alert),
      openMenu: (button) =>
        this.menus.open(
          button,
          this.#titleOf(id),
          (lists) => this.#paneItems(lists, id),
          this.#levelChoices(id),
        ),
      openMessageMenu: (button, message) =>
        this.menus.open(button, gettext("Message"), (lists) =>
          this.#messageActions.menuItems(lists, id, message, {
            reply: () => this.#reply(id, message),
            react: () => this.answering.react(id, button, message.seq),
            quote: this.#quoting(id, message, button),
          }),
        ),
      openDayMenu: (button, at) =>
        this.menus.open(button, gettext("Day"), () => this.#messageActions.dayItems(id, at)),
      showQuotes: (...shown) =>
        void this.carrying.use(({ quotes }) => quotes.showMessage(...shown)),
      chooseRooms: () => this.carrying.loadForUser(({ chips }) => chips.toggleRooms(id)),
      sendWithExtras: () => void this.carrying.use(({ chips }) => chips.send(id)),
      reply: (message) => this.#reply(id, message),
      react: (button, { seq }) => this.answering.react(id, button, seq),
      showAnswers: (list, element, message) => this.answering.show(id, list, element, message),
      showExtras: () => {
        this.answering.showExtras(id);
        // Later, because the pane may be about to open.
        queueMicrotask(() => {
          const { source, also } = this.#panes.get(id)?.composer.extras ?? {};
          if (source || also || this.carrying.loaded)
            this.carrying.use(({ chips }) => chips.show(id));
        });
      },
      editMessage: (message) => this.#messageActions.editMessage(id, message),
      undoMessage: (message) => this.#messageActions.undoMessage(id, message),
      saveDraft: (text, type, draftId) =>
        drafts.saveDraft(id, text, {
          ...{ title: this.#titleOf(id), id: draftId, type },
          extras: this.#panes.get(id)?.composer.extras ?? null,
        }),
      unsavedEdits: () => drafts.editsOf(id),
      saveEditDraft: (text, edit) => drafts.saveDraft(id, text, { title: this.#titleOf(id), edit }),
      dropEditDraft: (seq) => drafts.dropEdit(id, seq),
      saveEdit: (edited, text) => this.#messageActions.saveEdit(id, edited, text),
      sayTyping: () => {
        if (this.#userData.preferences.get("showsTyping")) this.#workspace.sayTyping(id);
      },
      choices: {
        me: this.#me,
        present: () => this.#panes.get(id)?.present ?? [],
        rooms: () => this.#workspace.rooms.values(),
        findPeople: (typed) => this.#workspace.findPeople(id, typed),
        mayCall: () => this.#workspace.mayCall(id),
        findEmoji: (typed, most) => this.#emoji.search(typed, most),
      },
      chooseEmoji: (button) => this.#emoji.choose(button),
      sendMessage: (text, type, extras) => this.#sendMessage(id, text, type, extras),
      retryMessage: (clientId) => outbox.retry(clientId),
      restoreMessage: (clientId) => this.#restoreMessage(id, clientId),
      discardMessage: (clientId) => outbox.discard(clientId),
    };
  }

  /** @param {string} username */
  async #deactivate(username) {
    const { notices, notLoaded } = this.#saying;
    const show = (/** @type {string} */ sentence) => notices.show(sentence);
    await this.#messageActions.confirmDeactivation(username, show).catch(notLoaded);
  }

  /** @param {string} id @param {string} text @param {number} type @param {(Extras & {files?: FileFacts[]}) | null} extras */
  #sendMessage(id, text, type, extras) {
    if (!this.#panes.get(id)) return;
    this.#prepareToSend(id);
    const { outbox, drafts } = this.#userData;
    outbox.add(id, text, {
      ...{ client_id: drafts.idFor(id, text), title: this.#titleOf(id), type },
      ...extras,
    });
    drafts.removeSent(id);
  }

  /** @param {string} id */
  #prepareToSend(id) {
    const pane = this.#panes.get(id);
    if (!pane) return;
    this.#readTracker.messageSent(pane);
    pane.showTrouble("");
    // Ask for the newest page before sending, so that the message is posted into what is shown then.
    this.jumps.jumpToNewest(id);
  }

  /** Put a quote into another pane's composer, where the user goes on. @param {string} room @param {Source} source */
  #quoteIn(room, source) {
    const composer = this.#panes.get(room)?.composer;
    if (!composer || source.room === room || this.#workspace.rooms.get(room)?.archived) return;
    composer.extras = { ...composer.extras, source };
    this.#panes.keep(room);
    this.navigation.focusRoom(room);
  }

  /** Asks into which pane to quote a message, if there are others. @param {string} id @param {Message} message @param {HTMLElement} button */
  #quoting(id, { seq }, button) {
    const items = this.#panes.layout.order.flatMap((room) => {
      const { title: label = "", archived } = this.#workspace.rooms.get(room) ?? {};
      const act = () => this.#quoteIn(room, { room: id, seq });
      return room === id || archived ? [] : [{ label, act }];
    });
    return items.length
      ? () => this.menus.open(button, gettext("Quote in another room"), () => items)
      : undefined;
  }

  /** Put an unsent message back into the box before it leaves the outbox, so that it is never in neither. @param {string} id @param {string} clientId */
  #restoreMessage(id, clientId) {
    const { outbox } = this.#userData;
    const entry = outbox.entriesOf(id).find(({ client_id }) => client_id === clientId);
    if (entry === undefined) return;
    const { text, type, replyTo, source, files } = entry;
    const extras = { ...(replyTo && { replyTo }), ...(source && { source }) };
    const pane = this.#panes.get(id);
    pane?.composer.putBack(text, clientId, { type, extras: replyTo || source ? extras : null });
    this.#attachments.putBack(pane, files);
    outbox.discard(clientId);
  }

  /** @param {RoomRow} row */
  #openRowMenu({ room, button, isOpen, title }) {
    const items = (/** @type {Lists} */ lists) =>
      lists.rowItems(room, {
        ...{ isOpen, readTracker: this.#readTracker, navigation: this.navigation },
        isAnyUnread: this.#userData.unread.total.unread > 0,
      });
    this.menus.open(button, title, items, this.#levelChoices(room));
  }

  /** What the reader can choose to hear of a room. @param {string} room */
  #levelChoices(room) {
    return (/** @type {Lists} */ lists) => lists.levelChoices(room, this.#userData.unread);
  }

  /** @param {Lists} lists @param {string} id */
  #paneItems(lists, id) {
    return lists.paneItems(this.#panes, id, {
      readTracker: this.#readTracker,
      shortcuts: this.#shortcuts,
      titleOf: (other) => this.#titleOf(other),
      askForDay: () => this.jumps.askForDay(id, this.#titleOf(id)),
      print: () => {
        const pane = this.#panes.get(id);
        if (pane) lists.printOnly(pane);
      },
      settings: this.#settingsItem(id),
    });
  }

  /** Members of a room see who they are; staff may change the rooms that users share. @param {string} id */
  #settingsItem(id) {
    const room = this.#workspace.rooms.get(id);
    if (!room || room.kind === "direct" || (!room.kind && !this.#me.staff)) return null;
    const label = room.kind ? gettext("Members and settings…") : gettext("Room settings…");
    return { label, act: () => this.#rooms.showSettings(id) };
  }

  /** @param {string} id @param {Message} message */
  #reply(id, { seq }) {
    if (!this.#isArchived(id)) this.#panes.get(id)?.composer.replyTo(seq);
  }

  /** The message that has the focus, otherwise the newest one in view. @param {string} room @param {(message: Message, button: HTMLElement) => void} act */
  #onMessage(room, act) {
    const list = this.#panes.get(room)?.list;
    const focused = document.activeElement?.closest("[data-part=messages] .message");
    const element = focused ?? list?.elementOf(list.inView?.last ?? -1);
    const message = list?.messageAt(element ?? null);
    if (element && message && !message.deleted && !this.#isArchived(room))
      act(message, part(element, "react"));
  }

  /** @param {string} id */
  #isArchived(id) {
    return this.#workspace.rooms.get(id)?.archived === true;
  }

  /** @param {string} id */
  #titleOf(id) {
    return this.#workspace.rooms.get(id)?.title ?? "";
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    // While an input method composes, or a dialog is open, every key belongs to it.
    if (isComposing(event) || event.defaultPrevented || document.querySelector("dialog:modal"))
      return;
    if (event.getModifierState("AltGraph")) return; // it types
    const found = this.#shortcuts.find(event, isSelectingText(event.target, IS_MAC));
    // The rest of a sentence goes to the main element when the server closes the pane in which it was written.
    const isTyped = isTextField(event.target) || event.target === document.querySelector("main");
    const isHelp = event.key === "?" && !event.ctrlKey && !event.metaKey && !isTyped;
    if (isHelp && this.#shortcuts.chordFor("help") !== "") this.#showKeys();
    else if (!found || !this.#runShortcut(found.name, found.digit)) return;
    event.preventDefault();
  }

  /** The message that has the focus, otherwise the first or the last in view. @param {string} room @param {"first" | "last"} end */
  #messageAt(room, end) {
    const list = this.#panes.get(room)?.list;
    const inView = list?.elementOf(list.inView?.[end] ?? -1);
    return list?.messageAt(document.activeElement) ?? list?.messageAt(inView ?? null);
  }

  /** @param {string} room */
  #showSameMoment(room) {
    const message = this.#messageAt(room, "first");
    if (message) this.#messageActions.showSameMoment(room, message);
  }

  /** @param {string} room */
  #quoteByKey(room) {
    const message = this.#messageAt(room, "last");
    const element = message && this.#panes.get(room)?.list.elementOf(message.seq);
    if (element && !message.deleted) this.#quoting(room, message, part(element, "act"))?.();
  }

  #startCatchUp() {
    this.catchUp.use((catchUp) => catchUp.start());
  }

  #showKeys() {
    this.#keysDialog.use((dialog) => dialog.open());
  }

  /**
   * @param {ShortcutName} name
   * @param {number} digit
   * @returns {boolean} whether the key is taken
   */
  #runShortcut(name, digit) {
    const panes = this.#panes;
    const room = panes.focused?.room;
    if (name === "find") this.navigation.finder.open();
    else if (name === "nextPane") this.navigation.focusBeside(1);
    else if (name === "previousPane") this.navigation.focusBeside(-1);
    else if (name === "paneNumber") this.navigation.focusNumber(digit);
    else if (name === "nextUnread") this.#readTracker.goToNextUnread(1);
    else if (name === "previousUnread") this.#readTracker.goToNextUnread(-1);
    else if (name === "help") this.#showKeys();
    else if (name === "catchUp") this.#startCatchUp();
    else if (name === "workspaces") part(document, "workspaces").click();
    else if (room === undefined || (panes.isStrip(room) && !name.startsWith("move"))) return false;
    else if (name === "sameMoment") this.#showSameMoment(room);
    else if (name === "quote") this.#quoteByKey(room);
    else if (name === "reply") this.#onMessage(room, (message) => this.#reply(room, message));
    else if (name === "react")
      this.#onMessage(room, ({ seq }, button) => this.answering.react(room, button, seq));
    else if (name === "newest") this.jumps.jumpToNewest(room);
    else if (name === "moveLeft") panes.arrange((arrangement) => arrangement.move(room, -1));
    else if (name === "moveRight") panes.arrange((arrangement) => arrangement.move(room, 1));
    else if (name === "edit") panes.get(room)?.editLast();
    else return false;
    return true;
  }
}
