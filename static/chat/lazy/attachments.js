/** The files that wait in a composer to be sent with its text: one tray for each room, whatever pane shows it. */

import { csrfToken } from "../dom/ask.js";
import { copyElement, part, setText } from "../dom/templates.js";
import { addressOf, fileNames, sizeWords } from "../model/files.js";
import { KeptFiles } from "../model/kept_files.js";
import { gettext, ngettext } from "../model/language.js";
import { Upload } from "../model/upload.js";

/** @import {FileFacts} from "../model/files.js" */
/** @import {Kept} from "../model/kept_files.js" */
/** @import {Attached, Limits} from "../model/protocol.js" */
/** @import {Tabs} from "../model/tabs.js" */

/** What a tray needs of a pane. @typedef {HTMLElement & {room: string, composer: HTMLElement & {attached: Attached | null, submit: () => void}}} Pane */
/** A file in a tray. @typedef {{upload: Upload, element: HTMLElement}} Item */

/** As the server has it. */
const MOST_FILES = 10;
/** More at a time would not be faster, and would delay messages. */
const AT_ONCE = 2;
const WAITING = gettext("The message is sent as soon as its files are uploaded.");
const STOPPED = gettext(
  "Not sent: a file isn't uploaded. Try it again or remove it, then send the message.",
);

export class Trays {
  #limits;
  #kept;
  /** @type {Map<string, Tray>} */
  #trays = new Map();
  /** @type {Element | null} */
  #under = null;

  /** @param {Limits} limits @param {number} user @param {Tabs} tabs */
  static async open(limits, user, tabs) {
    return new Trays(limits, await KeptFiles.open(user, tabs));
  }

  /** @param {Limits} limits @param {KeptFiles} kept */
  constructor(limits, kept) {
    this.#limits = limits;
    this.#kept = kept;
    addEventListener("dragover", (event) => this.dragged(event));
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.#show(null);
    });
    for (const end of ["drop", "dragend"]) addEventListener(end, () => this.#show(null));
    addEventListener("beforeunload", (event) => {
      // What is on the server is still there after a reload.
      if ([...this.#trays.values()].some(({ isAtRisk }) => isAtRisk)) event.preventDefault();
    });
    addEventListener("online", () => {
      for (const tray of this.#trays.values()) tray.retryFailed();
    });
  }

  /** A drag has moved: show in which pane its files would land. @param {DragEvent} event */
  dragged({ target, dataTransfer }) {
    const hasFiles = dataTransfer?.types.includes("Files");
    this.#show(hasFiles && target instanceof Element ? target.closest("room-pane") : null);
  }

  /** @param {Pane} pane @param {File[]} files */
  add(pane, files) {
    this.#trayOf(pane).add(files, this.#limits.fileBytes ?? 0);
  }

  /** @param {Pane} pane @param {FileFacts[]} files */
  putBack(pane, files) {
    this.#trayOf(pane).putBack(files);
  }

  /** Show a room's files in a pane that was opened. @param {Pane} pane */
  mount(pane) {
    const tray = this.#trays.get(pane.room);
    if (tray) return tray.mount(pane);
    const kept = this.#kept.take(pane.room);
    if (kept) this.#trayOf(pane).restore(kept);
  }

  /** @param {Pane} pane */
  #trayOf(pane) {
    const { room } = pane;
    const tray = this.#trays.get(room) ?? new Tray(room, (kept) => this.#kept.save(room, kept));
    this.#trays.set(pane.room, tray);
    tray.mount(pane);
    return tray;
  }

  /** @param {Element | null} pane */
  #show(pane) {
    if (pane === this.#under) return;
    this.#under?.classList.remove("dropping");
    pane?.classList.add("dropping");
    this.#under = pane;
  }
}

/** @implements {Attached} */
class Tray {
  #room;
  #element = copyElement("tray-template");
  #list = part(this.#element, "items");
  #status = part(this.#element, "status");
  /** @type {Item[]} */
  #items = [];
  /** @type {Pane["composer"] | null} */
  #composer = null;
  /** Whether the message is sent by itself when all files are there. */
  #isWaiting = false;

  #onchange;

  /** @param {string} room @param {(kept: Kept) => void} onchange what to keep over a reload has changed */
  constructor(room, onchange) {
    this.#room = room;
    this.#onchange = onchange;
  }

  /** Whether closing the page would lose a file. */
  get isAtRisk() {
    return this.#items.some(({ upload }) => upload.facts === null && upload.state !== "refused");
  }

  /** Show the files from before a reload, and name those that are lost. @param {Kept} kept */
  restore({ files, lost }) {
    this.putBack(files);
    if (lost.length === 0) return;
    this.#element.hidden = false;
    setText(
      this.#status,
      gettext("Not uploaded before the page was reloaded: {files}. Attach again.", {
        files: lost.join(", "),
      }),
    );
  }

  get size() {
    return this.#items.length;
  }

  /** @param {Pane} pane */
  mount({ composer }) {
    if (this.#composer === composer) return;
    this.#composer = composer;
    composer.attached = this;
    part(composer, "text").parentElement?.before(this.#element);
    // A user who goes on writing has not finished the message, so it must not be sent yet.
    part(composer, "text").addEventListener("input", () => this.#stopWaiting());
    this.#show();
  }

  /** @param {File[]} files @param {number} most bytes of a file */
  add(files, most) {
    const room = MOST_FILES - this.size;
    for (const file of files.slice(0, room)) {
      const upload = this.#create(file);
      if (!most || file.size <= most) continue;
      upload.state = "refused";
      upload.reason = gettext("Too large: at most {size}.", { size: sizeWords(most) });
    }
    this.#stopWaiting();
    this.#changed();
    const left = files.length - room;
    if (left > 0)
      setText(
        this.#status,
        ngettext(
          "A message has at most {most} files. {count} left out.",
          "A message has at most {most} files. {count} left out.",
          left,
          { most: MOST_FILES },
        ),
      );
    // A user who types in another pane meanwhile goes on there.
    const { activeElement } = document;
    if (activeElement === document.body || this.#box.contains(activeElement)) this.#focusText();
  }

  /** @param {FileFacts[]} files that are on the server already */
  putBack(files) {
    for (const facts of files.slice(0, MOST_FILES - this.size)) {
      const upload = this.#create(new File([], facts.name));
      Object.assign(upload, { facts, state: "done" });
    }
    this.#changed();
  }

  retryFailed() {
    for (const { upload } of this.#items) if (upload.state === "failed") upload.retry();
  }

  /** Whether the message has to wait for its files. It is then sent when they are there. */
  holds() {
    const isHeld = this.#items.some(({ upload }) => upload.state !== "done");
    this.#isWaiting = isHeld;
    this.#show();
    this.#finishWaiting();
    return isHeld;
  }

  /** The files, which belong to a message now. */
  take() {
    const files = this.#items.map(({ upload }) => /** @type {FileFacts} */ (upload.facts));
    this.#items = [];
    this.#list.replaceChildren();
    this.#show();
    this.#keep();
    return files;
  }

  /** @param {File} file */
  #create(file) {
    const element = copyElement("tray-item-template");
    const upload = new Upload(file, {
      room: this.#room,
      token: csrfToken,
      request: () => new XMLHttpRequest(),
      changed: () => this.#changed(),
    });
    const item = { upload, element };
    part(element, "name").textContent = file.name;
    part(element, "remove").addEventListener("click", () => this.#remove(item));
    const retry = part(element, "retry");
    retry.setAttribute("aria-label", gettext("Try again: {file}", { file: file.name }));
    retry.addEventListener("click", () => {
      upload.retry();
      this.#focusText();
    });
    this.#items.push(item);
    this.#list.append(element);
    return upload;
  }

  /** @param {Item} item */
  #remove(item) {
    const { upload, element } = item;
    upload.cancel();
    if (upload.facts)
      fetch(addressOf(upload.facts), {
        method: "DELETE",
        headers: { "X-CSRFToken": csrfToken() },
      }).catch(
        () => {}, // the server removes it later
      );
    this.#items = this.#items.filter((other) => other !== item);
    element.remove();
    this.#stopWaiting();
    this.#changed();
    // Not to the next file, which the next key would remove.
    this.#focusText();
  }

  #focusText() {
    part(this.#box, "text").focus({ preventScroll: true });
  }

  get #box() {
    return /** @type {HTMLElement} */ (this.#composer);
  }

  #stopWaiting() {
    this.#isWaiting = false;
    setText(this.#status, "");
    this.#element.hidden = this.size === 0;
  }

  #keep() {
    const uploads = this.#items.map(({ upload }) => upload);
    const lost = uploads.filter(({ facts, state }) => facts === null && state !== "refused");
    this.#onchange({
      files: uploads.flatMap(({ facts }) => (facts ? [facts] : [])),
      lost: lost.map(({ file }) => file.name),
    });
  }

  #changed() {
    this.#keep();
    const running = this.#items.filter(({ upload }) => upload.state === "sending").length;
    const waiting = this.#items.filter(({ upload }) => upload.state === "waiting");
    // It calls this method again, for the next one.
    if (running < AT_ONCE && waiting[0]) return waiting[0].upload.start();
    this.#show();
    this.#finishWaiting();
  }

  /** Send the message when its files are there. Do not send it when one of them needs the user. */
  #finishWaiting() {
    if (!this.#isWaiting) return;
    const states = new Set(this.#items.map(({ upload }) => upload.state));
    if (states.has("failed") || states.has("refused")) {
      this.#isWaiting = false;
      setText(this.#status, STOPPED);
    } else if (!states.has("waiting") && !states.has("sending")) {
      this.#isWaiting = false;
      this.#composer?.submit();
    }
  }

  #show() {
    this.#element.hidden = this.size === 0;
    if (this.#isWaiting) setText(this.#status, WAITING);
    for (const { upload, element } of this.#items) showItem(element, upload);
    const items = this.#items.map(({ upload }) => ({ name: upload.file.name }));
    const files = fileNames(/** @type {FileFacts[]} */ (items));
    this.#list.setAttribute("aria-label", gettext("Attached: {files}", { files }));
  }
}

/** @param {HTMLElement} element @param {Upload} upload */
function showItem(element, { state, progress, reason, facts, file }) {
  element.dataset.state = state;
  const bar = /** @type {HTMLProgressElement} */ (part(element, "progress"));
  bar.hidden = state !== "sending" && state !== "waiting";
  bar.setAttribute("aria-label", gettext("Uploading {file}", { file: file.name }));
  bar.value = progress;
  setText(part(element, "size"), reason || sizeWords(facts?.size ?? file.size));
  part(element, "retry").hidden = state !== "failed";
  const remove = part(element, "remove");
  const named = { file: file.name };
  remove.title = bar.hidden ? gettext("Remove") : gettext("Cancel");
  remove.ariaLabel = bar.hidden
    ? gettext("Remove: {file}", named)
    : gettext("Cancel: {file}", named);
  const image = /** @type {HTMLImageElement} */ (part(element, "image"));
  if (!facts?.width || image.hasAttribute("src")) return;
  image.src = `${addressOf(facts)}thumbnail/`;
  image.hidden = false;
}
