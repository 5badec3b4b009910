/** <room-list>: a button for each room, and a box to open one by its name. */

import { copyElement, part, setHue } from "./templates.js";

/** @import {Room} from "./protocol.js" */

export class RoomList extends HTMLElement {
  /** @type {(room: string) => void} */
  #toggle = () => {};

  /**
   * @param {(room: string) => void} toggle
   * @param {(title: string) => Promise<string>} openByName answers with a sentence if it cannot
   */
  begin(toggle, openByName) {
    this.#toggle = toggle;
    for (const button of this.querySelectorAll("button[data-room]"))
      this.#adopt(/** @type {HTMLButtonElement} */ (button));
    const form = /** @type {HTMLFormElement} */ (part(this, "find"));
    const box = /** @type {HTMLInputElement} */ (part(this, "name"));
    box.addEventListener("input", () => this.#say(""));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const title = box.value.trim();
      if (title === "") return;
      const sentence = await openByName(title);
      this.#say(sentence);
      if (sentence === "") box.value = "";
    });
    const all = part(this, "all");
    all.addEventListener("click", () => this.#expand(all.getAttribute("aria-expanded") !== "true"));
  }

  /**
   * Show which rooms are open, and on a phone which one is seen.
   * @param {string[]} open
   * @param {string | null} seen
   */
  mark(open, seen) {
    for (const button of this.querySelectorAll("button[data-room]")) {
      const room = button.getAttribute("data-room") ?? "";
      button.setAttribute("aria-pressed", String(open.includes(room)));
      button.classList.toggle("seen", room === seen);
      if (room === seen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  /**
   * Add a room that was made, or opened by name, after the page was loaded.
   * @param {Room} room
   */
  add(room) {
    const item = copyElement("room-template");
    const button = part(item, "button");
    button.dataset.room = room.id;
    part(item, "title").textContent = room.title;
    part(item, "staff").hidden = !room.staff_only;
    if (room.staff_only) button.setAttribute("aria-description", "Staff only");
    part(this, "rooms").append(item);
    this.#adopt(button);
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
  }

  /** @param {string} sentence */
  #say(sentence) {
    const trouble = part(this, "not-found");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}
