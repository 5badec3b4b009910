/** The webhooks of a room, in its dialog: made, paused, resumed, given a new secret, and removed. */

import { copyElement, part } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { RoomSection } from "./room_section.js";

/** @typedef {{host: string, secret: string}} Made */
/** @typedef {{webhooks: {id: number, host: string, with_bots: boolean, paused: boolean, state: string}[], made: Made | null}} Answer */

const NAMES = { path: "webhooks", box: "address", add: "add-webhook", list: "webhooks" };

/** @extends {RoomSection<Made, Answer>} */
export class RoomWebhooks extends RoomSection {
  /** @param {HTMLElement} section @param {(sentence: string) => void} showTrouble */
  constructor(section, showTrouble) {
    super(section, NAMES, showTrouble);
  }

  get #withBots() {
    return /** @type {HTMLInputElement} */ (this.part("with-bots"));
  }

  /** @override */
  clearForm() {
    super.clearForm();
    this.#withBots.checked = false;
  }

  /** @override @param {string} typed */
  addition(typed) {
    return { add: typed, with_bots: this.#withBots.checked };
  }

  /** @override @param {Answer} answer */
  items({ webhooks }) {
    return webhooks.map(({ id, host, with_bots, paused, state }) => {
      const item = copyElement("webhook-template");
      part(item, "name").textContent = host;
      part(item, "about").textContent = with_bots
        ? gettext("{state} · also bots", { state })
        : state;
      for (const name of ["resume", "skip"]) part(item, name).hidden = !paused;
      part(item, "pause").hidden = paused;
      this.offer(item, "pause", gettext("Pause for {name}", { name: host }), { pause: id });
      this.offer(item, "resume", gettext("Resume for {name}", { name: host }), { resume: id });
      this.offer(item, "skip", gettext("Skip and resume for {name}", { name: host }), {
        resume: id,
        from_now: true,
      });
      this.offer(item, "rotate", gettext("New secret for {name}", { name: host }), { rotate: id });
      this.offerToEnd(item, "remove", { remove: id }, [
        gettext("Remove {name}", { name: host }),
        gettext("Really remove?"),
        gettext("Really remove {name}?", { name: host }),
      ]);
      return item;
    });
  }

  /** @override @param {Made} made @returns {[string, string][]} */
  secrets({ host, secret }) {
    return [[gettext("Signing secret for {name}", { name: host }), secret]];
  }
}
