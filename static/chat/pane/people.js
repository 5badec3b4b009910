/** <room-people>: the people in a room: the avatars of two others and a count, with a list of all names. */

import { copyElement, part, setAvatar, showName } from "../dom/templates.js";
import { gettext, LOCALE } from "../model/language.js";
import { shownNames } from "../model/names.js";
import { hereWords } from "../model/strings.js";

/** @import {PresentFrame} from "../model/protocol.js" */

/** How many avatars fit into a pane's head beside the title. */
const AVATARS = 2;
const COLLATOR = new Intl.Collator(LOCALE);

export class People extends HTMLElement {
  /** @type {Set<string>} */
  #names = new Set();
  #isUpdateDue = false;
  #me = { username: "", staff: false };

  /**
   * Listen to events. Not in connectedCallback, because a pane that moves is connected again.
   * @param {{username: string, staff: boolean}} me
   * @param {{openDirect: (name: string) => void, deactivate: (name: string) => void, addPeople: () => void}} actions
   */
  configure(me, { openDirect: message, deactivate, addPeople: add }) {
    this.#me = me;
    /** @type {Record<string, (name: string) => void>} */
    const acts = { message, deactivate, add };
    this.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest("button") : null;
      if (button === manage) manage.ariaPressed = String(manage.ariaPressed !== "true");
      const act = acts[button?.dataset.part ?? ""];
      if (!button || !act) return;
      close();
      // The button is hidden now, so the focus would be lost while the server is asked.
      part(this, "summary").focus();
      act(button.dataset.username ?? "");
    });
    const details = /** @type {HTMLDetailsElement} */ (part(this, "details"));
    const manage = part(this, "manage");
    manage.hidden = !me.staff;
    const close = () => {
      details.open = false;
      manage.ariaPressed = "false";
    };
    this.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !details.open) return;
      close();
      part(this, "summary").focus();
    });
    this.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && this.contains(relatedTarget))) close();
    });
  }

  /** The names of the people present. */
  get names() {
    return this.#names;
  }

  /**
   * Show the people present: the whole list, or who entered (true) and left (false) since.
   * @param {PresentFrame["present"]} present
   */
  showPresent(present) {
    if (Array.isArray(present)) this.#names = new Set(present);
    else
      for (const [name, isHere] of Object.entries(present)) {
        if (isHere) this.#names.add(name);
        else this.#names.delete(name);
      }
    // After a restart many people leave and enter at once, so update once per frame.
    if (!this.#isUpdateDue) requestAnimationFrame(() => this.#showNames());
    this.#isUpdateDue = true;
  }

  #showNames() {
    this.#isUpdateDue = false;
    const names = [...this.#names].sort((a, b) =>
      COLLATOR.compare(shownNames.of(a), shownNames.of(b)),
    );
    this.hidden = names.length === 0;
    part(this, "count").textContent = hereWords(names.length);
    const others = names.filter((name) => name !== this.#me.username);
    const more = others.length - AVATARS;
    part(this, "avatars").replaceChildren(...others.slice(0, AVATARS).map(avatar));
    part(this, "more").textContent = more > 0 ? `+${more}` : "";
    part(this, "names").replaceChildren(...names.map((name) => person(name, this.#me)));
  }
}

/** @param {string} name */
function avatar(name) {
  const element = document.createElement("span");
  element.className = "avatar";
  showName(element, () =>
    setAvatar(element, name, shownNames.of(name), shownNames.pictureOf(name)),
  );
  return element;
}

/** @param {string} name @param {{username: string, staff: boolean}} me */
function person(name, me) {
  const item = copyElement("person-template");
  const button = part(item, "message");
  const deactivate = part(item, "deactivate");
  for (const each of [button, deactivate]) each.dataset.username = name;
  showName(item, () => {
    const shown = shownNames.of(name);
    button.hidden = deactivate.hidden = name === me.username;
    setAvatar(part(item, "avatar"), name, shown, shownNames.pictureOf(name));
    part(item, "name").textContent = shown;
    part(item, "username").textContent = shown === name ? "" : name;
    button.setAttribute("aria-label", gettext("Message {name}", { name: shown }));
    deactivate.setAttribute("aria-label", gettext("Deactivate {name}", { name: shown }));
  });
  return item;
}
