/** The bots of a room, in its dialog: made, given new secrets, and revoked. A secret is shown once, until it closes. */

import { ask } from "../dom/ask.js";
import { copyByButton } from "../dom/clipboard.js";
import { copyElement, part } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";

/** @typedef {{name: string, token?: string, address?: string, hook?: string, signature?: string}} Made */
/** @typedef {{bots: {id: number, name: string, signed: boolean}[], made: Made | null}} Answer */

export class RoomBots {
  #section;
  #box;
  #showTrouble;
  #room = "";
  /** Counts the changes that were made. */
  #changes = 0;

  /** @param {HTMLElement} section @param {(sentence: string) => void} showTrouble */
  constructor(section, showTrouble) {
    this.#section = section;
    this.#showTrouble = showTrouble;
    this.#box = /** @type {HTMLInputElement} */ (part(section, "bot-name"));
    const add = () => void this.#add();
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || isComposing(event)) return;
      event.preventDefault(); // so that the form is not sent
      add();
    });
    part(section, "add-bot").addEventListener("click", add);
  }

  /** Show the bots of a room, if the user may change them. @param {string} room @param {boolean} isManager */
  open(room, isManager) {
    this.clear();
    this.#room = room;
    this.#section.hidden = !isManager;
    if (isManager) void this.#change();
  }

  /** Forget the room and its secrets. */
  clear() {
    this.#room = this.#box.value = "";
    this.#section.hidden = true;
    part(this.#section, "bots").replaceChildren();
    part(this.#section, "secrets").replaceChildren();
  }

  async #add() {
    const name = this.#box.value.trim();
    if (name !== "" && (await this.#change({ add: name }))) this.#box.value = "";
  }

  /**
   * Ask for a change, or only for the bots as they are.
   * @param {object} [change]
   * @returns {Promise<boolean>} whether it was made
   */
  async #change(change) {
    const room = this.#room;
    const changes = this.#changes;
    /** @type {Answer | string} */
    const answer = await ask(`/rooms/${room}/bots/`, change);
    if (this.#room !== room) return false; // the dialog was closed meanwhile
    // What was asked first may be answered last. It hides neither a refusal nor what was changed meanwhile.
    if (change === undefined && this.#changes !== changes) return false;
    if (typeof answer === "string" || change !== undefined)
      this.#showTrouble(typeof answer === "string" ? answer : "");
    if (typeof answer === "string") return false;
    if (change !== undefined) this.#changes += 1;
    const list = part(this.#section, "bots");
    const hadFocus = list.contains(document.activeElement);
    list.replaceChildren(...answer.bots.map((bot) => this.#item(bot)));
    if (hadFocus) this.#box.focus(); // the button that had it is gone
    if (change !== undefined) this.#showSecrets(answer.made);
    return true;
  }

  /** @param {{id: number, name: string, signed: boolean}} bot */
  #item({ id, name, signed }) {
    const item = copyElement("bot-template");
    part(item, "name").textContent = name;
    part(item, "about").textContent = signed ? "signed" : "";
    /** @param {string} action @param {object} change */
    const offer = (action, change) => {
      const button = part(item, action);
      button.setAttribute("aria-label", `${button.textContent?.trim()} for ${name}`);
      button.addEventListener("click", () => void this.#change(change));
    };
    offer("new-token", { rotate: id, secret: "token" });
    offer("new-hook", { rotate: id, secret: "hook" });
    offer("new-signature", { rotate: id, secret: "signature" });
    askOnce(part(item, "revoke"), "revoke", name, () => void this.#change({ revoke: id }));
    return item;
  }

  /** @param {Made | null} made */
  #showSecrets(made) {
    /** @type {[string, string | undefined][]} */
    const secrets = made
      ? [
          [`Token of ${made.name}`, made.token],
          ["Post to", made.address],
          ["Hook, for senders that can't set headers", made.hook],
          ["Signing secret, for GitHub", made.signature],
        ]
      : [];
    const shown = secrets.flatMap(([label, secret]) => (secret ? [secretItem(label, secret)] : []));
    const list = part(this.#section, "secrets");
    list.replaceChildren(...shown);
    list.firstElementChild?.scrollIntoView({ block: "nearest" });
  }
}

/** A secret with a button that copies it. @param {string} label @param {string} secret */
export function secretItem(label, secret) {
  const item = copyElement("bot-secret-template");
  part(item, "label").textContent = label;
  part(item, "secret").textContent = secret;
  const copy = part(item, "copy");
  copy.setAttribute("aria-label", `Copy: ${label}`);
  copy.addEventListener("click", () => copyByButton(copy, secret));
  return item;
}

/**
 * Ask once before a button ends something, because programs out there stop working.
 * @param {HTMLElement} button @param {string} verb @param {string} name @param {() => void} onagreed
 */
export function askOnce(button, verb, name, onagreed) {
  const capital = verb[0]?.toUpperCase() + verb.slice(1);
  button.setAttribute("aria-label", `${capital} ${name}`);
  button.addEventListener("click", () => {
    if (button.dataset.asked === "true") return onagreed();
    button.dataset.asked = "true";
    button.textContent = `Really ${verb}?`;
    button.setAttribute("aria-label", `Really ${verb} ${name}?`);
  });
}
