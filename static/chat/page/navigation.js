/** Opens and closes rooms, and saves the open ones in the page's address and at the server. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";
import { changeOf } from "../model/layout.js";
import { Finder } from "./finder.js";

/** @import {Panes} from "../model/layout.js" */
/** @import {PaneRow} from "../pane/pane_row.js" */
/** @import {Preferences} from "../model/preferences.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {RoomList} from "./room_list.js" */
/** @import {SwitcherActions} from "../lazy/switcher.js" */
/** @import {Workspace} from "../model/workspace.js" */

const LAYOUT_AFTER_MS = 400;

export class Navigation {
  #panes;
  #workspace;
  #list;
  #preferences;
  #showNewest;
  finder;
  #reopenOffer = new LazyPart(async () => {
    const { ReopenOffer } = await import("lazy/reopen_offer");
    return new ReopenOffer(part(document, "reopen"));
  });
  /** How often the offer was hidden: one that is still being loaded is not shown after that. */
  #timesHidden = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The layout as the server knows it from this page. @type {Panes} */
  #savedLayout = { order: [], wide: null, shapes: {} };
  /** The named set that the panes belong to; 0: none. */
  setId = 0;
  /** Saves changes of that set. @type {(() => void) | null} */
  saveSet = null;

  /**
   * @param {PaneRow} panes
   * @param {{workspace: Workspace, list: RoomList, preferences: Preferences, showNewest: (room: string) => void, notLoaded: () => void} & Pick<SwitcherActions, "moreOptions" | "openDirect">} page
   */
  constructor(panes, page) {
    const { workspace, list, preferences, showNewest, moreOptions, openDirect } = page;
    this.#panes = panes;
    this.#workspace = workspace;
    this.#list = list;
    this.#preferences = preferences;
    this.#showNewest = showNewest;
    panes.onarranged = () => this.updateAddress();
    list.configure({
      goTo: (room) => this.#goTo(room),
      toggle: (room) => this.#toggleRoom(room),
      close: (room) => this.closeRoom(room),
      keep: (room) => panes.keep(room),
    });
    /** @type {SwitcherActions} */
    const actions = {
      ...{ moreOptions, openDirect },
      candidates: () => list.rows,
      rooms: () => workspace.rooms.values(),
      open: (room) => {
        list.collapse();
        this.focusRoom(room);
      },
      goToRoom: (room, isFocused) => this.goToRoom(room, isFocused),
    };
    this.finder = new Finder(part(document, "find"), actions, page.notLoaded);
    preferences.follow("clickCloses", () => list.showClickCloses(preferences.get("clickCloses")));
    addEventListener("pagehide", () => this.save());
  }

  /** The panes open now were restored and not opened by the user, so they are no change to save. */
  layoutRestored() {
    this.#savedLayout = this.#panes.layout.panes;
  }

  /** Save what was changed while the connection was down. */
  connected() {
    this.save();
  }

  get savedLayout() {
    return this.#savedLayout;
  }

  /** The server closed this room, so this is no change to save. @param {string} id */
  roomClosed(id) {
    const { order, wide, shapes } = this.#savedLayout;
    this.#savedLayout = {
      order: order.filter((room) => room !== id),
      wide: wide === id ? null : wide,
      shapes,
    };
    this.updateAddress();
  }

  /** Close a pane, and offer to open it again. @param {string} id */
  closeRoom(id) {
    const pane = this.#panes.get(id);
    const room = this.#workspace.rooms.get(id);
    if (!pane || !room) return;
    const { layout, isPhone } = this.#panes;
    const box = pane.getBoundingClientRect();
    const was = {
      ...layout,
      id,
      box,
      isPhone,
      shapes: { ...layout.shapes },
      shape: layout.shapes[id],
    };
    this.#workspace.closePane(id);
    this.updateAddress();
    const timesHidden = this.#timesHidden;
    this.#reopenOffer.load().then(
      (offer) =>
        timesHidden === this.#timesHidden &&
        offer.show(room.title, was, () => {
          this.focusRoom(id);
          if (!this.#panes.get(id)) return; // the page is full
          offer.putBack(this.#panes, was);
          this.focusRoom(id);
          this.updateAddress();
        }),
      () => {}, // the list opens the room too
    );
  }

  hideReopenOffer() {
    this.#timesHidden += 1;
    this.#reopenOffer.loaded?.hide();
  }

  /** The user asked for this room: open it if needed, and focus its composer. @param {string} id */
  focusRoom(id) {
    const room = this.#workspace.rooms.get(id);
    if (room && !this.#panes.get(id)) this.#openRoom(room);
    if (!this.#panes.get(id)) return; // the page is full
    this.#panes.scrollToPane(id);
    this.#panes.get(id)?.composer.focus();
  }

  /** The user made this room, or asked for a room that may be new. @param {Room} room @param {boolean} [isFocused] false: they went on elsewhere meanwhile */
  goToRoom(room, isFocused = true) {
    if (!this.#panes.get(room.id)) this.#openRoom(room, isFocused);
    if (!isFocused) return;
    this.#list.collapse();
    this.focusRoom(room.id);
  }

  /** Look at a room in the provisional pane, which takes the place of the one before. An open room is focused. @param {string} id @param {Room} [unlisted] an archived room is not in the list @param {boolean} [isFocused] */
  peekRoom(id, unlisted, isFocused = true) {
    const room = this.#workspace.rooms.get(id) ?? unlisted;
    if (!room || this.#panes.get(id)) return this.focusRoom(id);
    const { order, peek } = this.#panes.layout;
    const next = peek === null ? undefined : order[order.indexOf(peek) + 1];
    if (peek !== null) this.#workspace.closePane(peek);
    this.#workspace.openPane(room, isFocused);
    if (!this.#panes.get(id)) return; // the page is full
    this.#panes.setPeek(id);
    if (next !== undefined) this.#panes.placeBefore(id, next);
    if (!isFocused) return; // the address is still that of the link
    this.focusRoom(id);
    this.updateAddress();
  }

  /** Close the provisional pane, unless it is this one. @param {string | null} kept */
  closePeek(kept) {
    const { peek } = this.#panes.layout;
    if (peek === null || peek === kept) return;
    this.#workspace.closePane(peek);
    this.updateAddress();
  }

  /** Focus the composer of the pane beside, going round. @param {number} step 1 or -1 */
  focusBeside(step) {
    const { order } = this.#panes.layout;
    const from = order.indexOf(this.#panes.focused?.room ?? this.#panes.seen ?? "");
    let at = from < 0 && step < 0 ? 0 : from;
    // A strip is passed over: the focus would make it a column.
    const isPassed = () => this.#panes.isStrip(order.at(at) ?? "");
    do at = (at + step) % order.length;
    while (isPassed() && order.some((id) => !this.#panes.isStrip(id)));
    const room = order.at(at);
    if (room !== undefined) this.focusRoom(room);
  }

  /** Focus the composer of the first, second, … pane. @param {number} number */
  focusNumber(number) {
    const room = this.#panes.layout.order[number - 1];
    if (room !== undefined) this.focusRoom(room);
  }

  /** Update the address at once, and save the layout for the user's other browsers after a short pause. */
  updateAddress() {
    const { address } = this.#panes.layout;
    const set = this.setId ? `${address === "/" ? "?" : "&"}workspace=${this.setId}` : "";
    history.replaceState(null, "", address + set);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), LAYOUT_AFTER_MS);
  }

  /** Save only the changes, because another page may have saved panes that are not open here. */
  save() {
    clearTimeout(this.#timer);
    if (this.saveSet) return this.saveSet();
    const layout = this.#panes.layout.panes;
    const change = changeOf(this.#savedLayout, layout);
    if (change === null || this.#workspace.changeLayout(change)) this.#savedLayout = layout;
  }

  /** A click in the list brings a room's pane into view and focuses it. On a phone, a tap on the tab that is shown goes to the newest message. @param {string} id */
  #goTo(id) {
    if (this.#preferences.get("clickCloses")) return this.#toggleRoom(id);
    if (!this.#panes.get(id) || !this.#panes.isPhone) return this.focusRoom(id);
    // On a phone, a focused composer would open the keyboard.
    if (this.#panes.seen === id) this.#showNewest(id);
    else this.#panes.setSeen(id);
  }

  /** As in the original: open a room, or close it. On a phone its tab first brings it to the front. @param {string} id */
  #toggleRoom(id) {
    const room = this.#workspace.rooms.get(id);
    if (room === undefined) return;
    const isTab = this.#preferences.get("clickCloses") && this.#panes.isPhone;
    if (!this.#panes.get(id)) this.#openRoom(room);
    else if (isTab && this.#panes.seen !== id) this.#panes.setSeen(id);
    else this.closeRoom(id);
  }

  /** @param {Room} room @param {boolean} isByUser */
  #openRoom(room, isByUser = true) {
    this.#workspace.openPane(room, isByUser);
    this.updateAddress();
  }
}
