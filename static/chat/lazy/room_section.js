/** A section of a room's dialog that lists what its managers have made there, with the secrets that are shown once. */

import { ask } from "../dom/ask.js";
import { copyByButton } from "../dom/clipboard.js";
import { copyElement, part } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { gettext } from "../model/language.js";

/** What a subclass gives: the names of its parts and of its address. @typedef {{path: string, box: string, add: string, list: string}} Names */

/**
 * @template Made what a change made, with its secrets
 * @template {{made: Made | null}} Answer
 */
export class RoomSection {
  #section;
  #names;
  #showTrouble;
  #room = "";
  /** Counts the changes that were made. */
  #changes = 0;

  /** @param {HTMLElement} section @param {Names} names @param {(sentence: string) => void} showTrouble */
  constructor(section, names, showTrouble) {
    this.#section = section;
    this.#names = names;
    this.#showTrouble = showTrouble;
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || isComposing(event)) return;
      event.preventDefault(); // so that the form is not sent
      void this.#add();
    });
    this.part(names.add).addEventListener("click", () => void this.#add());
  }

  /** Where the name or the address of a new one is typed. */
  get box() {
    return /** @type {HTMLInputElement} */ (this.part(this.#names.box));
  }

  /** @param {string} name */
  part(name) {
    return part(this.#section, name);
  }

  /** Show the list of a room, if the user may change it. @param {string} room @param {boolean} isManager */
  open(room, isManager) {
    this.clear();
    this.#room = room;
    this.#section.hidden = !isManager;
    if (isManager) void this.change();
  }

  /** Forget the room and its secrets. */
  clear() {
    this.#room = "";
    this.#section.hidden = true;
    this.clearForm();
    this.part(this.#names.list).replaceChildren();
    this.part("secrets").replaceChildren();
  }

  /** Empty the fields, because what they had was added. */
  clearForm() {
    this.box.value = "";
  }

  /** What is asked of the server for what was typed. @param {string} typed @returns {object} */
  addition(typed) {
    return { add: typed };
  }

  /** @param {Answer} _answer @returns {HTMLElement[]} */
  items(_answer) {
    return [];
  }

  /** The secrets of what was made, each with its label. @param {Made} _made @returns {[string, string | undefined][]} */
  secrets(_made) {
    return [];
  }

  async #add() {
    const typed = this.box.value.trim();
    if (typed !== "" && (await this.change(this.addition(typed)))) this.clearForm();
  }

  /**
   * Ask for a change, or only for the list as it is.
   * @param {object} [change]
   * @returns {Promise<boolean>} whether it was made
   */
  async change(change) {
    const room = this.#room;
    const changes = this.#changes;
    /** @type {Answer | string} */
    const answer = await ask(`/rooms/${room}/${this.#names.path}/`, change);
    if (this.#room !== room) return false; // the dialog was closed meanwhile
    // What was asked first may be answered last. It hides neither a refusal nor what was changed meanwhile.
    if (change === undefined && this.#changes !== changes) return false;
    if (typeof answer === "string" || change !== undefined)
      this.#showTrouble(typeof answer === "string" ? answer : "");
    if (typeof answer === "string") return false;
    const list = this.part(this.#names.list);
    const hadFocus = list.contains(document.activeElement);
    list.replaceChildren(...this.items(answer));
    if (hadFocus) this.box.focus(); // the button that had it is gone
    if (change === undefined) return true;
    this.#changes += 1;
    this.#showSecrets(answer.made);
    return true;
  }

  /** Let a button of an item ask for a change. @param {HTMLElement} item @param {string} action the button @param {string} label names the item @param {object} change */
  offer(item, action, label, change) {
    const button = part(item, action);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => void this.change(change));
  }

  /**
   * Ask once before a button of an item ends something, because programs out there stop working.
   * @param {HTMLElement} item @param {string} action the button @param {object} change
   * @param {[label: string, question: string, longQuestion: string]} words the label and the long question name the item
   */
  offerToEnd(item, action, change, [label, question, longQuestion]) {
    const button = part(item, action);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => {
      if (button.dataset.asked === "true") return void this.change(change);
      button.dataset.asked = "true";
      button.textContent = question;
      button.setAttribute("aria-label", longQuestion);
    });
  }

  /** @param {Made | null} made */
  #showSecrets(made) {
    const secrets = made ? this.secrets(made) : [];
    const list = this.part("secrets");
    list.replaceChildren(
      ...secrets.flatMap(([label, secret]) => (secret ? [secretItem(label, secret)] : [])),
    );
    list.firstElementChild?.scrollIntoView({ block: "nearest" });
  }
}

/** A secret with a button that copies it. @param {string} label @param {string} secret */
function secretItem(label, secret) {
  const item = copyElement("bot-secret-template");
  part(item, "label").textContent = label;
  part(item, "secret").textContent = secret;
  const copy = part(item, "copy");
  copy.setAttribute("aria-label", gettext("Copy: {label}", { label }));
  copy.addEventListener("click", () => copyByButton(copy, secret));
  return item;
}
