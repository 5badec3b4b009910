/** Takes files that are chosen, dropped on a pane or pasted. What handles them is loaded when it is first used. */

import { LazyPart } from "../dom/lazy_part.js";
import { KEPT_FILES } from "../model/files.js";
import { openStore } from "../model/outbox_store.js";

/** @import {Trays} from "../lazy/attachments.js" */
/** @import {FileFacts} from "../model/files.js" */
/** @import {Limits} from "../model/protocol.js" */
/** @import {Tabs} from "../model/tabs.js" */
/** @import {RoomPane} from "../pane/room_pane.js" */

export class Attachments {
  /** @type {LazyPart<Trays>} */
  #trays;
  /** @type {LazyPart<typeof import("../lazy/file_viewer.js")>} */
  #viewer;
  #notLoaded;
  #store = openStore(() => sessionStorage);

  /** @param {{limits: Limits, user: {id: number}}} config @param {Tabs} tabs @param {() => void} notLoaded says that a part of the page could not be loaded */
  constructor({ limits, user }, tabs, notLoaded) {
    this.#notLoaded = notLoaded;
    this.#trays = new LazyPart(async () => {
      const { Trays } = await import("lazy/attachments");
      return Trays.open(limits, user.id, tabs);
    });
    this.#viewer = new LazyPart(() => import("lazy/file_viewer"), notLoaded);
    // That a dropped file does not leave the page is seen to in templates/chat/start.html, before this is loaded.
    addEventListener("dragenter", (event) => {
      if (event.dataTransfer?.types.includes("Files")) this.#use((trays) => trays.dragged(event));
    });
    addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    addEventListener("paste", (event) => {
      // A table that is copied has a picture of itself beside its text. A file has at most its name.
      const types = event.clipboardData?.types ?? [];
      if (!types.includes("text/plain") || !types.includes("text/html"))
        this.#take(event, event.clipboardData);
    });
    addEventListener("click", (event) => this.#clicked(event));
  }

  /** A closed pane's files are still there when it is opened again, and after a reload. @param {RoomPane} pane */
  paneOpened(pane) {
    if (this.#trays.loaded || this.#store.getItem(KEPT_FILES) !== null)
      this.#use((trays) => trays.mount(pane));
  }

  /** After signing out, this tab keeps no list of files. The server removes those that were not sent. */
  clear() {
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
    this.#use((trays) => trays.add(pane, files));
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const pane = paneOf(event);
    if (pane && target.closest("[data-part=attach]")) {
      const input = document.createElement("input");
      Object.assign(input, { type: "file", multiple: true });
      input.onchange = () => this.#use((trays) => trays.add(pane, [...(input.files ?? [])]));
      return input.click();
    }
    const link = target.closest(".thumb");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#viewer.use(({ view }) => view(link));
  }

  /** Files are taken whatever the user does while the tray is loaded, because they belong to their room. @param {(trays: Trays) => void} act */
  #use(act) {
    this.#trays.load().then(act, this.#notLoaded);
  }
}

/** @param {Event} event @returns {RoomPane | null} */
function paneOf({ target }) {
  return target instanceof Element ? target.closest("room-pane") : null;
}
