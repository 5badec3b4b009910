/** Takes files that are chosen, dropped on a pane or pasted. What handles them, the trays, is loaded soon after the page. */

import { LazyPart } from "../dom/lazy_part.js";
import { part } from "../dom/templates.js";
import { KEPT_FILES } from "../model/files.js";
import { openStore } from "../model/outbox_store.js";

/** @import {Held, Trays} from "../lazy/attachments.js" */
/** @import {FileFacts} from "../model/files.js" */
/** @import {Attached, Limits} from "../model/protocol.js" */
/** @import {Tabs} from "../model/tabs.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */

export class Attachments {
  /** @type {LazyPart<Trays>} */
  trays;
  /** @type {LazyPart<typeof import("../lazy/file_viewer.js")>} */
  #viewer;
  #notLoaded;
  /** @type {Held[]} */
  #held = [];
  #store = openStore(() => sessionStorage);

  /** @param {{limits: Limits, user: {id: number}}} config @param {Tabs} tabs @param {() => void} notLoaded says that a part of the page could not be loaded */
  constructor({ limits, user }, tabs, notLoaded) {
    this.#notLoaded = notLoaded;
    this.trays = new LazyPart(async () => {
      const name = "lazy/attachments";
      // Chromium never fetches an address again that it could not load once.
      const again = () => import(`${import.meta.resolve(name)}?${Date.now()}`);
      const { Trays } = await import(name).catch(again);
      return Trays.open(limits, user.id, tabs);
    });
    this.#viewer = new LazyPart(() => import("lazy/file_viewer"), notLoaded);
    // That a dropped file does not leave the page is seen to in templates/chat/start.html, before this is loaded.
    addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    addEventListener("paste", (event) => {
      // A table that is copied has a picture of itself beside its text. A file has at most its name.
      const types = event.clipboardData?.types ?? [];
      if (!types.includes("text/plain") || !types.includes("text/html"))
        this.#take(event, event.clipboardData);
    });
    addEventListener("click", (event) => this.#clicked(event));
    addEventListener("beforeunload", (event) => this.#held.length && event.preventDefault());
  }

  /** A closed pane's files are still there when it is opened again, and after a reload. @param {RoomPane} pane */
  paneOpened(pane) {
    for (const held of this.#held.filter(({ pane: { room } }) => room === pane.room))
      this.#hold(Object.assign(held, { pane }));
    if (this.trays.loaded || this.#store.getItem(KEPT_FILES) !== null)
      this.#use((trays) => trays.mount(pane));
  }

  /** After signing out, this tab keeps no list of files. The server removes those that were not sent. */
  clear() {
    this.#held = [];
    this.trays.loaded?.clear();
    this.#store.removeItem(KEPT_FILES);
  }

  /** Give the files of a message that was not sent back to its writer. @param {RoomPane | undefined} pane @param {FileFacts[]} [files] */
  putBack(pane, files) {
    if (pane && files?.length) this.#use((trays) => trays.putBack(pane, files));
  }

  /** @param {Event} event @param {DataTransfer | null} data */
  #take(event, data) {
    const pane = paneOf(event);
    const files = [...(data?.files ?? [])];
    if (!files.length || !pane) return;
    event.preventDefault();
    const held = { pane, files };
    this.#held.push(held);
    this.#hold(held);
  }

  /** Until their tray takes its place, Enter sends no text without the files. @param {Held} held */
  #hold(held) {
    const { composer } = held.pane;
    const holds = () => {
      held.sent = composer.text;
      return this.load();
    };
    composer.attached ??= /** @type {Attached} */ ({ size: 1, holds });
    this.load();
  }

  /** Load the trays, and give them the files that wait for them. Returns true. */
  load() {
    this.trays.load().then(
      (trays) => trays.take(this.#held.splice(0)),
      () => {
        for (const { pane } of this.#held) part(pane, "unattached").hidden = false;
      },
    );
    return true;
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const pane = paneOf(event);
    const name = target.closest("button")?.dataset.part;
    if (pane && name === "attach") this.#use((trays) => trays.choose(pane));
    if (pane && name === "drop-files") {
      this.#held = this.#held.filter((held) => held.pane.room !== pane.room);
      pane.composer.attached = null;
      part(pane, "unattached").hidden = true;
      pane.composer.focus();
    }
    const link = target.closest(".thumb");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#viewer.use(({ view }) => view(link));
  }

  /** Files are taken whatever the user does while the tray is loaded, because they belong to their room. @param {(trays: Trays) => void} act */
  #use(act) {
    this.trays.load().then(act, this.#notLoaded);
  }
}

/** @param {Event} event @returns {RoomPane | null} */
function paneOf({ target }) {
  return target instanceof Element ? target.closest("room-pane") : null;
}
