/** The line at the end of a log that says who came and went. */

import { copyElement } from "../dom/templates.js";
import { LEAVE } from "../model/protocol.js";
import { presenceWords } from "../model/strings.js";

/** @import {Signal} from "../model/protocol.js" */

export class PresenceLine {
  #box;
  /** While nothing stands after it. @type {{line: HTMLElement, people: Map<string, "joined" | "left">} | null} */
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
    line.textContent = presenceWords(people);
  }

  /** Something came after it, or it is gone: who comes next gets a line of their own. */
  endLine() {
    this.#current = null;
  }

  /** Stay last: what is added is older. @param {() => void} add */
  stayLast(add) {
    const now = this.#current;
    add();
    if (now === null || now === this.#current) return;
    this.#box.append(now.line);
    this.#current = now;
  }
}
