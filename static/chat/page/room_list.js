/** <room-list>: a button for each room, and a box to open a room by its title. */

import { copyElement, part, setHue } from "../dom/templates.js";
import { countsWords, unreadWords, unsentWords } from "../model/strings.js";
import { RoomKeys } from "./room_keys.js";

/** @import {Room} from "../model/protocol.js" */
/** @import {Counts} from "../model/strings.js" */

/** Created once, because `localeCompare` looks up its rules at each comparison. */
const COLLATOR = new Intl.Collator(undefined, { sensitivity: "base" });

const NOTHING = { unread: 0, mentions: 0 };

export class RoomList extends HTMLElement {
  /** @type {(room: string) => void} */
  #toggleRoom = () => {};
  /** @type {string | null} */
  #seen = null;
  /** There may be a thousand, so each change touches only the buttons that it concerns. @type {Map<string, HTMLElement>} */
  #buttons = new Map();
  /** Counts may arrive before their room is in the list. @type {Map<string, Counts>} */
  #counts = new Map();
  /** Ids of open rooms, in the order of their panes. @type {string[]} */
  #open = [];
  /** Ids of all rooms in the list's order: open rooms, then the other rooms by title. @type {string[]} */
  #order = [];
  /** Whether rooms were opened, closed, added or renamed since the list was last sorted. */
  #isUnsorted = true;
  #keys = new RoomKeys(this);

  /**
   * @param {(room: string) => void} toggleRoom
   * @param {(title: string) => Promise<string>} openByTitle returns a sentence if it fails
   */
  configure(toggleRoom, openByTitle) {
    this.#toggleRoom = toggleRoom;
    for (const button of this.querySelectorAll("button[data-room]"))
      this.#addButton(/** @type {HTMLElement} */ (button));
    const form = /** @type {HTMLFormElement} */ (part(this, "find"));
    const box = /** @type {HTMLInputElement} */ (part(this, "name"));
    box.addEventListener("input", () => this.#showTrouble(""));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const title = box.value.trim();
      if (title === "") return;
      const sentence = await openByTitle(title);
      this.#showTrouble(sentence);
      if (sentence === "" && box.value.trim() === title) box.value = "";
    });
    const all = part(this, "all");
    all.addEventListener("click", () => this.#expand(all.getAttribute("aria-expanded") !== "true"));
    this.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || all.getAttribute("aria-expanded") !== "true") return;
      this.collapse();
      all.focus();
    });
  }

  /** On a phone, go back to the panes. */
  collapse() {
    this.#expand(false);
  }

  /**
   * Show which rooms are open, in their order, and which of them is seen on a phone.
   * @param {string[]} open
   * @param {string | null} seen
   */
  showOpenRooms(open, seen) {
    if (!isSame(open, this.#open)) {
      const changed = new Set([...open, ...this.#open]);
      this.#open = [...open];
      this.#isUnsorted = true;
      for (const room of changed)
        this.#buttonOf(room)?.setAttribute("aria-pressed", String(open.includes(room)));
    }
    if (this.#isUnsorted) this.#sort();
    if (seen === this.#seen) return;
    this.#buttonOf(this.#seen)?.classList.remove("seen");
    this.#seen = seen;
    const button = this.#buttonOf(seen);
    button?.classList.add("seen");
    button?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #sort() {
    this.#isUnsorted = false;
    const open = new Set(this.#open);
    const closed = [...this.#buttons.keys()].filter((room) => !open.has(room));
    const titles = new Map(closed.map((room) => [room, this.#titleOf(room)]));
    closed.sort((a, b) => COLLATOR.compare(titles.get(a) ?? "", titles.get(b) ?? ""));
    const isDirect = (/** @type {string} */ room) =>
      this.#buttonOf(room)?.dataset.kind === "direct";
    const [rooms, people] = [closed.filter((room) => !isDirect(room)), closed.filter(isDirect)];
    this.#order = [...this.#open.filter((room) => this.#buttons.has(room)), ...rooms, ...people];
    this.#arrange(part(this, "open-rooms"), this.#open);
    this.#arrange(part(this, "rooms"), rooms);
    this.#arrange(part(this, "people"), people);
    part(this, "open-heading").hidden = open.size === 0;
    part(this, "rooms-heading").hidden = open.size === 0 || rooms.length === 0;
    part(this, "people-heading").hidden = people.length === 0;
    this.#keys.setButtons(this.#order.map((room) => this.#buttons.get(room)));
  }

  /** @param {HTMLElement} list @param {string[]} rooms */
  #arrange(list, rooms) {
    arrange(
      list,
      rooms.map((room) => this.#buttonOf(room)),
    );
  }

  /**
   * Add a room that was created, or opened by title, after the page was loaded.
   * @param {Room} room
   */
  addRoom(room) {
    const item = copyElement("room-template");
    const button = part(item, "button");
    button.dataset.room = room.id;
    if (room.kind) button.dataset.kind = room.kind;
    this.#showTitle(button, room);
    part(this, "rooms").append(item);
    this.#addButton(button);
    this.#showCounts(room.id);
  }

  /**
   * Add new rooms, and show new titles.
   * @param {Room[]} rooms
   */
  updateRooms(rooms) {
    for (const room of rooms) {
      const button = this.#buttonOf(room.id);
      if (!button) this.addRoom(room);
      else this.#showTitle(button, room);
    }
    this.querySelector(".no-rooms")?.remove();
  }

  /**
   * @param {string} room
   * @param {Counts} counts
   */
  setCounts(room, { unread, mentions }) {
    const before = this.#counts.get(room) ?? NOTHING;
    this.#counts.set(room, { unread, mentions });
    if (before.unread === unread && before.mentions === mentions) return;
    this.#showCounts(room);
  }

  /** @param {string} room */
  #showCounts(room) {
    const button = this.#buttonOf(room);
    const counts = this.#counts.get(room);
    if (!button || !counts) return;
    const badge = part(button, "unread");
    badge.hidden = counts.unread === 0;
    badge.textContent = countsWords(counts);
    badge.classList.toggle("for-me", counts.mentions > 0);
    this.#describe(button);
  }

  /** Describe a room: its unread messages, and whether it is for staff. @param {HTMLElement} button */
  #describe(button) {
    const counts = this.#counts.get(button.dataset.room ?? "");
    const parts = [
      counts ? unreadWords(counts) : "",
      button.dataset.staff === "true" ? "Staff only" : "",
    ];
    const description = parts.filter(Boolean).join(", ");
    if (description) button.setAttribute("aria-description", description);
    else button.removeAttribute("aria-description");
  }

  /** @param {HTMLElement} button @param {Room} room */
  #showTitle(button, { title, staff_only }) {
    const isKnown = part(button, "title").textContent === title;
    if (isKnown && button.dataset.staff === String(staff_only)) return;
    part(button, "title").textContent = title;
    button.dataset.short = [...title].slice(0, 2).join("");
    part(button, "staff").hidden = !staff_only;
    button.dataset.staff = String(staff_only);
    this.#describe(button);
    this.#isUnsorted = true;
  }

  /** @param {string} room */
  hasRoom(room) {
    return this.#buttons.has(room);
  }

  /** @param {string} room */
  removeRoom(room) {
    this.#buttonOf(room)?.closest("li")?.remove();
    this.#buttons.delete(room);
    this.#counts.delete(room);
    this.#isUnsorted = true;
  }

  /** @param {string} room */
  focusRoom(room) {
    this.#buttonOf(room)?.focus();
  }

  /**
   * Show that messages wait for a room that is not open.
   * @param {string} room
   * @param {number} count
   */
  showUnsentCount(room, count) {
    const button = this.#buttonOf(room);
    button?.querySelector(".not-sent")?.remove();
    if (!button || count === 0) return;
    const mark = document.createElement("span");
    mark.className = "not-sent";
    mark.textContent = unsentWords(count);
    button.append(" ", mark);
  }

  /** Ids of all rooms in the list's order. */
  get order() {
    return this.#order;
  }

  /** @param {string | null} room */
  #buttonOf(room) {
    return this.#buttons.get(room ?? "");
  }

  /** @param {string} room */
  #titleOf(room) {
    const button = this.#buttonOf(room);
    return (button && part(button, "title").textContent) ?? "";
  }

  /** @param {HTMLElement} button */
  #addButton(button) {
    const room = button.dataset.room ?? "";
    this.#buttons.set(room, button);
    this.#isUnsorted = true;
    setHue(button, room);
    button.addEventListener("click", () => {
      this.#expand(false);
      this.#toggleRoom(room);
    });
  }

  /** On a phone, show the whole list over the page. @param {boolean} isExpanded */
  #expand(isExpanded) {
    this.classList.toggle("expanded", isExpanded);
    part(this, "all").setAttribute("aria-expanded", String(isExpanded));
    // The tabs may be scrolled sideways, but the list shows its rooms' titles from the left edge.
    if (isExpanded) part(this, "nav").scrollLeft = 0;
  }

  /** @param {string} sentence */
  #showTrouble(sentence) {
    const trouble = part(this, "not-found");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}

/**
 * Put the items of these buttons into a list in this order, moving as few items as possible.
 * @param {HTMLElement} list
 * @param {(HTMLElement | undefined)[]} buttons
 */
function arrange(list, buttons) {
  const focused = document.activeElement;
  let place = list.firstElementChild;
  for (const button of buttons) {
    const item = button?.closest("li");
    if (!item) continue;
    if (item === place) place = item.nextElementSibling;
    else list.insertBefore(item, place);
  }
  // A moved item loses the focus, so give it back.
  if (
    focused instanceof HTMLElement &&
    focused !== document.activeElement &&
    list.contains(focused)
  )
    focused.focus({ preventScroll: true });
}

/** @param {string[]} a @param {string[]} b */
function isSame(a, b) {
  return a.length === b.length && a.every((room, i) => room === b[i]);
}
