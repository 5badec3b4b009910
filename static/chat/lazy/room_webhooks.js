/** The webhooks of a room, in its dialog: made, paused, resumed, given a new secret, and removed. */

import { ask } from "../dom/ask.js";
import { copyElement, part } from "../dom/templates.js";
import { isComposing } from "../dom/text_box.js";
import { askOnce, secretItem } from "./room_bots.js";

/** @typedef {{id: number, host: string, with_bots: boolean, paused: boolean, state: string}} Webhook */
/** @typedef {{webhooks: Webhook[], made: {host: string, secret: string} | null}} Answer */

export class RoomWebhooks {
  #section;
  #box;
  #withBots;
  #showTrouble;
  #room = "";
  /** Counts the changes that were made. */
  #changes = 0;

  /** @param {HTMLElement} section @param {(sentence: string) => void} showTrouble */
  constructor(section, showTrouble) {
    this.#section = section;
    this.#showTrouble = showTrouble;
    this.#box = /** @type {HTMLInputElement} */ (part(section, "address"));
    this.#withBots = /** @type {HTMLInputElement} */ (part(section, "with-bots"));
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || isComposing(event)) return;
      event.preventDefault(); // so that the form is not sent
      void this.#add();
    });
    part(section, "add-webhook").addEventListener("click", () => void this.#add());
  }

  /** Show the webhooks of a room, if the user may change them. @param {string} room @param {boolean} isManager */
  open(room, isManager) {
    this.clear();
    this.#room = room;
    this.#section.hidden = !isManager;
    if (isManager) void this.#change();
  }

  /** Forget the room and its secrets. */
  clear() {
    this.#room = this.#box.value = "";
    this.#withBots.checked = false;
    this.#section.hidden = true;
    part(this.#section, "webhooks").replaceChildren();
    part(this.#section, "secrets").replaceChildren();
  }

  async #add() {
    const add = this.#box.value.trim();
    if (add === "") return;
    if (!(await this.#change({ add, with_bots: this.#withBots.checked }))) return;
    this.#box.value = "";
    this.#withBots.checked = false;
  }

  /**
   * Ask for a change, or only for the webhooks as they are.
   * @param {object} [change]
   * @returns {Promise<boolean>} whether it was made
   */
  async #change(change) {
    const room = this.#room;
    const changes = this.#changes;
    /** @type {Answer | string} */
    const answer = await ask(`/rooms/${room}/webhooks/`, change);
    if (this.#room !== room) return false; // the dialog was closed meanwhile
    // What was asked first may be answered last. It hides neither a refusal nor what was changed meanwhile.
    if (change === undefined && this.#changes !== changes) return false;
    if (typeof answer === "string" || change !== undefined)
      this.#showTrouble(typeof answer === "string" ? answer : "");
    if (typeof answer === "string") return false;
    if (change !== undefined) this.#changes += 1;
    const list = part(this.#section, "webhooks");
    const hadFocus = list.contains(document.activeElement);
    list.replaceChildren(...answer.webhooks.map((webhook) => this.#item(webhook)));
    if (hadFocus) this.#box.focus(); // the button that had it is gone
    if (change === undefined) return true;
    const secrets = part(this.#section, "secrets");
    const { made } = answer;
    secrets.replaceChildren(
      ...(made ? [secretItem(`Signing secret for ${made.host}`, made.secret)] : []),
    );
    secrets.firstElementChild?.scrollIntoView({ block: "nearest" });
    return true;
  }

  /** @param {Webhook} webhook */
  #item({ id, host, with_bots, paused, state }) {
    const item = copyElement("webhook-template");
    part(item, "name").textContent = host;
    part(item, "about").textContent = with_bots ? `${state} · also bots` : state;
    for (const name of ["resume", "skip"]) part(item, name).hidden = !paused;
    part(item, "pause").hidden = paused;
    /** @param {string} action @param {object} change */
    const offer = (action, change) => {
      const button = part(item, action);
      button.setAttribute("aria-label", `${button.textContent?.trim()} for ${host}`);
      button.addEventListener("click", () => void this.#change(change));
    };
    offer("pause", { pause: id });
    offer("resume", { resume: id });
    offer("skip", { resume: id, from_now: true });
    offer("rotate", { rotate: id });
    askOnce(part(item, "remove"), "remove", host, () => void this.#change({ remove: id }));
    return item;
  }
}
