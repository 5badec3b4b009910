/** The files that wait in a composer to be sent with its text: one tray for each room, whatever pane shows it. */

import { ownHeaders } from "../dom/ask.js";
import { copyElement, part, setText } from "../dom/templates.js";
import { AttachedFiles, MOST_FILES } from "../model/attached_files.js";
import { addressOf, fileNames, sizeWords } from "../model/files.js";
import { KeptFiles } from "../model/kept_files.js";
import { gettext, isolate, ngettext } from "../model/language.js";

/** @import {AttachedFile, KeptFile, Target} from "../model/attached_file.js" */
/** @import {Extras} from "../model/extras.js" */
/** @import {FileFacts} from "../model/files.js" */
/** @import {Kept} from "../model/kept_files.js" */
/** @import {Attached, Limits} from "../model/protocol.js" */
/** @import {Tabs} from "../model/tabs.js" */

/** What a tray needs of a pane. @typedef {HTMLElement & {room: string, composer: HTMLElement & {attached: Attached | null, extras: Extras | null, text: string, submit: () => void}}} Pane */
/** Files that wait until this is loaded. `sent`: the text of the composer when Enter was pressed. @typedef {{pane: Pane, files: File[], sent?: string}} Held */
/** A file in a tray. @typedef {{file: AttachedFile, element: HTMLElement}} Item */

const WAITING = gettext("The message is sent as soon as its files are uploaded.");
const INTERRUPTED = gettext(
  "The connection is interrupted. Keep this page open: the message is sent once its files are uploaded.",
);
const STOPPED = gettext(
  "Not sent: a file isn't uploaded. Try it again or remove it, then send the message.",
);
const UPLOADED = gettext("The files are uploaded, but the message isn't sent yet.");
const ARCHIVED = gettext("The message isn't sent because the room is archived.");

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
    addEventListener("online", () => this.connected());
  }

  /** A drag has moved: show in which pane its files would land. @param {DragEvent} event */
  dragged({ target, dataTransfer }) {
    const hasFiles = dataTransfer?.types.includes("Files");
    this.#show(hasFiles && target instanceof Element ? target.closest("room-pane") : null);
  }

  /** Take files that waited until this was loaded, then send the messages for which Enter was pressed meanwhile. @param {Held[]} held */
  take(held) {
    for (const { pane, files } of held) this.#add(pane, files);
    for (const { pane, sent } of held) {
      const { composer } = pane;
      const isEditing = !part(composer, "editing").hidden;
      // A user who went on writing has not finished the message.
      if (composer.isConnected && !isEditing && composer.text === sent) composer.submit();
    }
  }

  /** Let the user choose files. @param {Pane} pane */
  choose(pane) {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", multiple: true });
    input.onchange = () => this.#add(pane, [...(input.files ?? [])]);
    input.click();
  }

  /** @param {Pane} pane may have been closed, and opened again, since it got the files @param {File[]} files */
  #add(pane, files) {
    const panes = /** @type {Pane[]} */ ([...document.querySelectorAll("room-pane")]);
    const current = panes.find(({ room }) => room === pane.room) ?? pane;
    this.#trayOf(current).add(files, this.#limits.fileBytes ?? 0);
  }

  /** @param {Pane} pane @param {FileFacts[]} files */
  putBack(pane, files) {
    this.#trayOf(pane).putBack(files);
  }

  /** How many messages wait for their files. */
  get waiting() {
    return [...this.#trays.values()].filter(({ isWaiting }) => isWaiting).length;
  }

  /** The page is connected, perhaps because its user has signed in again. */
  connected() {
    for (const tray of this.#trays.values()) tray.retryFailed();
  }

  /** Another user is signed in, who must upload nothing that this one chose. What the tab keeps of it is for this one. */
  stop() {
    for (const tray of this.#trays.values()) tray.clear();
  }

  /** The user signed out. */
  clear() {
    this.stop();
    this.#kept.clear();
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
  #element = copyElement("tray-template");
  #list = part(this.#element, "items");
  #status = part(this.#element, "status");
  #files;
  /** @type {Item[]} */
  #items = [];
  /** @type {Pane["composer"] | null} */
  #composer = null;

  /** @param {string} room @param {(kept: Kept) => void} onchange what to keep over a reload has changed */
  constructor(room, onchange) {
    this.#files = new AttachedFiles({
      ...{ room, headers: ownHeaders, discard: removeFromServer },
      request: () => new XMLHttpRequest(),
      isConnected: () => connectionState() === "open",
      isSignedIn: () => connectionState() !== "signed out",
      changed: () => {
        onchange(this.#files.kept);
        this.#show();
      },
      ready: () => this.#submit(),
      stopped: () => setText(this.#status, stoppedWords(this.#files.missing)),
    });
  }

  get isWaiting() {
    return this.#files.isWaiting;
  }

  /** Whether closing the page would lose a file. */
  get isAtRisk() {
    return this.#files.kept.lost.length > 0;
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
    part(composer, "unattached").hidden = true;
    part(composer, "text").parentElement?.before(this.#element);
    // A user who goes on writing has not finished the message, so it must not be sent yet.
    part(composer, "text").addEventListener("input", () => this.#stopWaiting());
    this.#show();
  }

  /** @param {File[]} files @param {number} most bytes of a file */
  add(files, most) {
    const room = MOST_FILES - this.size;
    for (const file of files.slice(0, room)) {
      const { own } = this.#append(this.#files.add(file));
      if (!most || file.size <= most) continue;
      own.state = "refused";
      own.reason = gettext("Too large: at most {size}.", { size: sizeWords(most) });
    }
    this.#start();
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

  /** @param {KeptFile[]} files that are on the server already */
  putBack(files) {
    for (const kept of files.slice(0, MOST_FILES - this.size))
      this.#append(this.#files.putBack(kept));
    this.#files.start();
  }

  retryFailed() {
    this.#files.retry();
  }

  clear() {
    this.#files.clear();
    this.#removeItems();
    this.#show();
  }

  /** @param {Target[]} [others] */
  holds(others) {
    setText(this.#status, "");
    return this.#files.holds(others);
  }

  /** @param {string} [room] */
  filesFor(room) {
    return this.#files.filesFor(room);
  }

  /** @param {Target[]} [others] */
  take(others) {
    this.#removeItems();
    this.#files.take(others);
  }

  #removeItems() {
    setText(this.#status, "");
    this.#items = [];
    this.#list.replaceChildren();
  }

  /** The message goes to other rooms now, so it waits for another Enter, and its files leave the rooms that were removed. */
  roomsChanged() {
    this.#files.removeCopies(this.#composer?.extras?.also ?? []);
    this.#stopWaiting();
  }

  #stopWaiting() {
    this.#files.stopWaiting();
    setText(this.#status, "");
    this.#element.hidden = this.size === 0;
  }

  /** Send the message, because its files are uploaded. */
  #submit() {
    const box = /** @type {HTMLTextAreaElement} */ (part(this.#box, "text"));
    if (box.readOnly) return setText(this.#status, ARCHIVED);
    // A message that is edited in the box by now is another one. That of a closed pane stays a draft.
    if (this.#box.isConnected && part(this.#box, "editing").hidden) this.#composer?.submit();
    else setText(this.#status, UPLOADED);
  }

  /** @param {AttachedFile} file */
  #append(file) {
    const element = copyElement("tray-item-template");
    const item = { file, element };
    part(element, "name").textContent = file.name;
    part(element, "remove").addEventListener("click", () => this.#remove(item));
    const retry = part(element, "retry");
    retry.setAttribute("aria-label", gettext("Try again: {file}", { file: file.name }));
    retry.addEventListener("click", () => {
      file.retry();
      this.#focusText();
    });
    this.#items.push(item);
    this.#list.append(element);
    return file;
  }

  /** @param {Item} item */
  #remove(item) {
    this.#items = this.#items.filter((other) => other !== item);
    item.element.remove();
    setText(this.#status, "");
    this.#files.remove(item.file);
    // Not to the next file, which the next key would remove.
    this.#focusText();
  }

  #start() {
    setText(this.#status, "");
    this.#files.start();
  }

  #focusText() {
    part(this.#box, "text").focus({ preventScroll: true });
  }

  get #box() {
    return /** @type {HTMLElement} */ (this.#composer);
  }

  #show() {
    this.#element.hidden = this.size === 0;
    if (this.#files.isInterrupted) setText(this.#status, INTERRUPTED);
    else if (this.#files.isWaiting) setText(this.#status, WAITING);
    else if ([WAITING, INTERRUPTED].includes(this.#status.textContent ?? ""))
      setText(this.#status, "");
    for (const { file, element } of this.#items) showItem(element, file);
    const items = this.#items.map(({ file: { name } }) => ({ name }));
    const files = fileNames(/** @type {FileFacts[]} */ (items));
    this.#list.setAttribute("aria-label", gettext("Attached: {files}", { files }));
  }
}

/** @returns {string | undefined} as page/connection_status.js shows it */
function connectionState() {
  return part(document, "state").dataset.state;
}

/** @param {string[]} rooms the titles of those for which a file is missing */
function stoppedWords(rooms) {
  if (rooms.length === 0) return STOPPED;
  return gettext(
    "Not sent: not all files are uploaded for {rooms}. Press Enter to try again, or send to fewer rooms.",
    { rooms: rooms.map(isolate).join(", ") },
  );
}

/** @param {HTMLElement} element @param {AttachedFile} attached */
function showItem(element, { name, own, status }) {
  const { state, reason, canRetry } = status.upload;
  element.dataset.state = state;
  const bar = /** @type {HTMLProgressElement} */ (part(element, "progress"));
  bar.hidden = state !== "sending" && state !== "waiting";
  bar.setAttribute("aria-label", gettext("Uploading {file}", { file: name }));
  bar.value = status.progress;
  setText(part(element, "size"), itemWords(status, reason, own.facts?.size ?? own.file.size));
  part(element, "retry").hidden = !canRetry;
  const remove = part(element, "remove");
  const named = { file: name };
  remove.title = bar.hidden ? gettext("Remove") : gettext("Cancel");
  remove.ariaLabel = bar.hidden
    ? gettext("Remove: {file}", named)
    : gettext("Cancel: {file}", named);
  const image = /** @type {HTMLImageElement} */ (part(element, "image"));
  if (!own.facts?.width || image.hasAttribute("src")) return;
  image.src = `${addressOf(own.facts)}thumbnail/`;
  image.hidden = false;
}

/** @param {AttachedFile["status"]} status @param {string} reason @param {number} size */
function itemWords({ title, done, rooms }, reason, size) {
  if (reason) return title ? `${isolate(title)}: ${reason}` : reason;
  if (done === rooms) return sizeWords(size);
  return rooms === 1
    ? sizeWords(size)
    : ngettext("{done} of {count} room", "{done} of {count} rooms", rooms, { done });
}

/** @param {FileFacts} facts */
function removeFromServer(facts) {
  fetch(addressOf(facts), { method: "DELETE", headers: ownHeaders() }).catch(
    () => {}, // the server removes it later
  );
}
