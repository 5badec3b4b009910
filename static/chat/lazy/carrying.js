/** What carries messages between rooms, as one part that is loaded when it is first used: quotes, the chips at a composer, and copies. */

import { isTransient } from "../model/protocol.js";
import { ComposerChips } from "./composer_chips.js";
import { Copies } from "./copies.js";
import { QuoteView } from "./quote_view.js";

/** @import {ErrorFrame} from "../model/protocol.js" */
/** @import {Workspace} from "../model/workspace.js" */
/** @import {ChipsPage, Composer} from "./composer_chips.js" */
/** @import {CopiesPage} from "./copies.js" */
/** @import {QuotePage} from "./quote_view.js" */

/** The panes of the page. @typedef {{get: (room: string) => {composer: Composer} | undefined}} Panes */
/**
 * What it needs of the page.
 * @typedef {{workspace: Workspace, panes: Panes, user: {id: number, staff: boolean}}
 *   & Pick<ChipsPage & CopiesPage & QuotePage, "outbox" | "drafts" | "notices" | "open" | "prepareToSend" | "askFirst">} CarrierPage
 */

export class Carrier {
  quotes;
  chips;
  copies;
  #workspace;

  /** @param {CarrierPage} page */
  constructor({ workspace, panes, user, ...page }) {
    /** @type {ChipsPage & CopiesPage & QuotePage} */
    const all = {
      ...page,
      ...{ me: user.id, isStaff: user.staff },
      rooms: () => workspace.rooms,
      isOpen: (room) => panes.get(room) !== undefined,
      isOnline: () => workspace.isOnline,
      composerOf: (room) => panes.get(room)?.composer,
      ask: (command) => workspace.ask(command),
      change: (...change) => workspace.changeMessage(...change),
    };
    this.#workspace = workspace;
    this.quotes = new QuoteView(all);
    this.chips = new ComposerChips(all, this.quotes);
    this.copies = new Copies(all);
  }

  /** @param {boolean} isOpen */
  connectionChanged(isOpen) {
    if (!isOpen) return this.copies.connectionLost();
    this.quotes.connected();
    this.copies.update();
  }

  /** The server refused a question of this part. @param {ErrorFrame} frame */
  refused(frame) {
    if (frame.command === "quote") this.quotes.refused(frame, isTransient(frame));
    else this.copies.refused();
  }

  /** Rooms came, went, or were renamed. */
  roomsChanged() {
    this.quotes.roomsChanged();
    for (const room of this.#workspace.openRooms) this.chips.show(room);
  }
}
