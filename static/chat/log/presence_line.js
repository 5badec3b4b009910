/** Shows at the end of a log who entered and left. */

import { copyElement, showName } from "../dom/templates.js";
import { LEAVE } from "../model/protocol.js";
import { presenceWords } from "../model/strings.js";

/** @import {Signal} from "../model/protocol.js" */

export class PresenceLine {
  #box;
  /** The line that is last in the log; null once messages follow it. @type {{line: HTMLElement, people: Map<string, "joined" | "left">} | null} */
  #current = null;

  /** @param {HTMLElement} box the messages */
  constructor(box) {
    this.#box = box;
  }

  /** @param {Signal} signal */
  showSignal({ username, msg_type }) {
    if (this.#current === null) {
      this.#current = { line: copyElement("signal-template"), people: new Map() };
      this.#box.append(this.#current.line);
    }
    const { line, people } = this.#current;
    people.delete(username);
    people.set(username, msg_type === LEAVE ? "left" : "joined");
    showName(line, () => {
      line.textContent = presenceWords(people);
    });
  }

  /** A message follows the line, or it was removed: the next signal gets a new line. */
  endLine() {
    this.#current = null;
  }

  /** Keep the line last while older messages are added. @param {() => void} add */
  stayLast(add) {
    const current = this.#current;
    add();
    if (current === null || current === this.#current) return;
    this.#box.append(current.line);
    this.#current = current;
  }
}
