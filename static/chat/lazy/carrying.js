/** What carries messages between rooms, as one part that is loaded when it is first used: quotes, the chips at a composer, and copies. */

import { isTransient } from "../model/protocol.js";
import { ComposerChips } from "./composer_chips.js";
import { Copies } from "./copies.js";
import { QuoteView } from "./quote_view.js";

/** @import {ErrorFrame} from "../model/protocol.js" */
/** @import {ChipsPage} from "./composer_chips.js" */
/** @import {CopiesPage} from "./copies.js" */
/** @import {QuotePage} from "./quote_view.js" */

/** What it needs of the page. @typedef {ChipsPage & CopiesPage & QuotePage} CarrierPage */

export class Carrier {
  quotes;
  chips;
  copies;

  /** @param {CarrierPage} page */
  constructor(page) {
    this.quotes = new QuoteView(page);
    this.chips = new ComposerChips(page, this.quotes);
    this.copies = new Copies(page);
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

  /** Rooms came, went, or were renamed. @param {string[]} open the rooms with a pane */
  roomsChanged(open) {
    this.quotes.roomsChanged();
    for (const room of open) this.chips.show(room);
  }
}
