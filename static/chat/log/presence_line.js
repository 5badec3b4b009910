/** The line at the end of a log that says who came and went. */

import { copyElement } from "../dom/templates.js";
import { LEAVE } from "../model/protocol.js";
import { presenceWords } from "../model/strings.js";

/** @import {Signal} from "../model/protocol.js" */

export class PresenceLine {
  #box;
  /** While nothing stands after it. @type {{line: HTMLElement, people: Map<string, "joined" | "left">} | null} */
  #now = null;

  /** @param {HTMLElement} box the messages */
  constructor(box) {
    this.#box = box;
  }

  /** @param {Signal} signal */
  take({ username, msg_type }) {
    if (this.#now === null) {
      this.#now = { line: copyElement("signal-template"), people: new Map() };
      this.#box.append(this.#now.line);
    }
    const { line, people } = this.#now;
    people.delete(username);
    people.set(username, msg_type === LEAVE ? "left" : "joined");
    line.textContent = presenceWords(people);
  }

  /** Something came after it, or it is gone: who comes next gets a line of their own. */
  end() {
    this.#now = null;
  }

  /** Stay last: what is added is older. @param {() => void} add */
  stayLast(add) {
    const now = this.#now;
    add();
    if (now === null || now === this.#now) return;
    this.#box.append(now.line);
    this.#now = now;
  }
}
