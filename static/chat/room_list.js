/** <room-list>: a button for each room, and a box to open one by its name. */

import { copyElement, part, setHue } from "./templates.js";
import { countsWords, unreadWords, unsentWords } from "./words.js";

/** @import {Room} from "./protocol.js" */
/** @import {Counts} from "./words.js" */

export class RoomList extends HTMLElement {
  /** @type {(room: string) => void} */
  #toggle = () => {};
  /** @type {string | null} */
  #seen = null;

  /**
   * @param {(room: string) => void} toggle
   * @param {(title: string) => Promise<string>} openByName answers with a sentence if it cannot
   */
  begin(toggle, openByName) {
    this.#toggle = toggle;
    for (const button of this.#buttons) this.#adopt(button);
    const form = /** @type {HTMLFormElement} */ (part(this, "find"));
    const box = /** @type {HTMLInputElement} */ (part(this, "name"));
    box.addEventListener("input", () => this.#say(""));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const title = box.value.trim();
      if (title === "") return;
      const sentence = await openByName(title);
      this.#say(sentence);
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

  /** On a phone, back to the panes. */
  collapse() {
    this.#expand(false);
  }

  /**
   * Show which rooms are open, in their order, and on a phone which one is seen.
   * @param {string[]} open
   * @param {string | null} seen
   */
  mark(open, seen) {
    for (const button of this.#buttons) {
      const room = button.dataset.room ?? "";
      button.setAttribute("aria-pressed", String(open.includes(room)));
      button.classList.toggle("seen", room === seen);
    }
    const closed = this.#buttons.filter(({ dataset }) => !open.includes(dataset.room ?? ""));
    stand(
      part(this, "open-rooms"),
      open.map((room) => this.#buttonOf(room)),
    );
    stand(part(this, "rooms"), closed.sort(byTitle));
    part(this, "open-heading").hidden = open.length === 0;
    part(this, "rooms-heading").hidden = open.length === 0 || closed.length === 0;
    if (seen !== this.#seen)
      this.#buttonOf(seen ?? "")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#seen = seen;
  }

  /**
   * Add a room that was made, or opened by name, after the page was loaded.
   * @param {Room} room
   */
  add(room) {
    const item = copyElement("room-template");
    const button = part(item, "button");
    button.dataset.room = room.id;
    this.#name(button, room);
    part(this, "rooms").append(item);
    this.#adopt(button);
  }

  /**
   * Take the rooms there are: what is new is added, and a new name shown.
   * @param {Room[]} rooms
   */
  take(rooms) {
    for (const room of rooms) {
      const button = this.#buttonOf(room.id);
      if (!button) this.add(room);
      else this.#name(button, room);
    }
    this.querySelector(".no-rooms")?.remove();
  }

  /**
   * @param {string} room
   * @param {Counts} counts
   */
  count(room, { unread, mentions }) {
    const button = this.#buttonOf(room);
    const badge = button && part(button, "unread");
    if (!button || !badge || badge.textContent === countsWords({ unread, mentions })) return;
    badge.hidden = unread === 0;
    badge.textContent = countsWords({ unread, mentions });
    badge.classList.toggle("for-me", mentions > 0);
    const said = [
      unreadWords({ unread, mentions }),
      button.dataset.staff === "true" ? "Staff only" : "",
    ];
    button.setAttribute("aria-description", said.filter(Boolean).join(", "));
  }

  /** @param {HTMLElement} button @param {Room} room */
  #name(button, { title, staff_only }) {
    part(button, "title").textContent = title;
    part(button, "staff").hidden = !staff_only;
    button.dataset.staff = String(staff_only);
    if (staff_only) button.setAttribute("aria-description", "Staff only");
  }

  /** @param {string} room */
  has(room) {
    return this.#buttonOf(room) !== null;
  }

  /** @param {string} room */
  drop(room) {
    this.#buttonOf(room)?.closest("li")?.remove();
  }

  /** @param {string} room */
  focusRoom(room) {
    this.#buttonOf(room)?.focus();
  }

  /**
   * Say that texts wait for a room that is not open.
   * @param {string} room
   * @param {number} count
   */
  markUnsent(room, count) {
    const button = this.#buttonOf(room);
    button?.querySelector(".not-sent")?.remove();
    if (!button || count === 0) return;
    const mark = document.createElement("span");
    mark.className = "not-sent";
    mark.textContent = unsentWords(count);
    button.append(" ", mark);
  }

  focusFirst() {
    this.#buttons[0]?.focus();
  }

  /** Rooms as they stand in the list. */
  get order() {
    return this.#buttons.map(({ dataset }) => dataset.room ?? "");
  }

  get #buttons() {
    return /** @type {HTMLElement[]} */ ([...this.querySelectorAll("button[data-room]")]);
  }

  /** @param {string} room @returns {HTMLElement | null} */
  #buttonOf(room) {
    return this.querySelector(`button[data-room="${CSS.escape(room)}"]`);
  }

  /** @param {HTMLElement} button */
  #adopt(button) {
    const room = button.dataset.room ?? "";
    setHue(button, room);
    button.addEventListener("click", () => {
      this.#expand(false);
      this.#toggle(room);
    });
  }

  /** On a phone, the whole list over the page. @param {boolean} isExpanded */
  #expand(isExpanded) {
    this.classList.toggle("expanded", isExpanded);
    part(this, "all").setAttribute("aria-expanded", String(isExpanded));
    // The tabs may stand scrolled sideways; the list has its rooms' names at its edge.
    if (isExpanded) part(this, "nav").scrollLeft = 0;
  }

  /** @param {string} sentence */
  #say(sentence) {
    const trouble = part(this, "not-found");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}

/**
 * Let the items of these buttons be what is in a list, moving no more than has to be moved.
 * @param {HTMLElement} list
 * @param {(HTMLElement | null)[]} buttons
 */
function stand(list, buttons) {
  const focused = document.activeElement;
  buttons.forEach((button, i) => {
    const item = button?.closest("li");
    if (item && list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
  // What is moved loses the focus; it was the user's, so it comes back.
  if (
    focused instanceof HTMLElement &&
    focused !== document.activeElement &&
    list.contains(focused)
  )
    focused.focus({ preventScroll: true });
}

/** @param {HTMLElement} one @param {HTMLElement} other */
function byTitle(one, other) {
  const [a, b] = [one, other].map((button) => part(button, "title").textContent ?? "");
  return (a ?? "").localeCompare(b ?? "", undefined, { sensitivity: "base" });
}
