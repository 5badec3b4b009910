/** The bots of a room, in its dialog: made, given new secrets, and revoked. A secret is shown once, until it closes. */

import { copyElement, part } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { RoomSection } from "./room_section.js";

/** @typedef {{name: string, token?: string, address?: string, hook?: string, signature?: string}} Made */
/** @typedef {{bots: {id: number, name: string, signed: boolean}[], made: Made | null}} Answer */

const NAMES = { path: "bots", box: "bot-name", add: "add-bot", list: "bots" };

/** @extends {RoomSection<Made, Answer>} */
export class RoomBots extends RoomSection {
  /** @param {HTMLElement} section @param {(sentence: string) => void} showTrouble */
  constructor(section, showTrouble) {
    super(section, NAMES, showTrouble);
  }

  /** @override @param {Answer} answer */
  items({ bots }) {
    return bots.map(({ id, name, signed }) => {
      const item = copyElement("bot-template");
      part(item, "name").textContent = name;
      part(item, "about").textContent = signed ? gettext("signed") : "";
      this.offer(item, "new-token", gettext("New token for {name}", { name }), {
        rotate: id,
        secret: "token",
      });
      this.offer(item, "new-hook", gettext("New hook for {name}", { name }), {
        rotate: id,
        secret: "hook",
      });
      this.offer(item, "new-signature", gettext("Secret for {name}", { name }), {
        rotate: id,
        secret: "signature",
      });
      this.offerToEnd(item, "revoke", { revoke: id }, [
        gettext("Revoke {name}", { name }),
        gettext("Really revoke?"),
        gettext("Really revoke {name}?", { name }),
      ]);
      return item;
    });
  }

  /** @override @param {Made} made @returns {[string, string | undefined][]} */
  secrets({ name, token, address, hook, signature }) {
    return [
      [gettext("Token of {name}", { name }), token],
      [gettext("Post to"), address],
      [gettext("Hook, for senders that can't set headers"), hook],
      [gettext("Signing secret, for GitHub"), signature],
    ];
  }
}
