/** The user's named sets of panes, called workspaces: switches between them, and keeps the one that is shown up to date. */

import { ask } from "../dom/ask.js";
import { part } from "../dom/templates.js";
import { gettext } from "../model/language.js";
import { changeOf } from "../model/layout.js";
import { rank } from "../model/match.js";
import { mergePanes, unshowable, without } from "../model/pane_sets.js";
import { fullPageWords } from "../model/strings.js";

/** @import {Item} from "../dom/menu.js" */
/** @import {Panes} from "../model/layout.js" */
/** @import {PaneSet} from "../model/pane_sets.js" */
/** @import {Room} from "../model/protocol.js" */
/** @import {Asked} from "./confirm_dialog.js" */
/** @import {Option} from "./switcher.js" */

/** The sets that the page was sent with. @typedef {{list: {id: number, name: string}[], current: number, version: number}} Sent */
/** What the server answers. @typedef {{workspaces: PaneSet[], unnamed: Panes, saved?: number}} Answer */
/**
 * What the sets need of the page.
 * @typedef {{
 *   panes: {layout: {readonly panes: Panes, order: string[], peek: string | null}, readonly isPhone: boolean, isStrip: (room: string) => boolean, readonly focused: {room: string, composer: {text: string, draft: string}} | null, get: (room: string) => unknown, arrangeAs: (panes: Panes) => void, scrollToPane: (room: string) => void},
 *   workspace: {rooms: Map<string, Room>, openPane: (room: Room, isByUser: boolean) => void, closePane: (room: string) => void},
 *   navigation: {setId: number, readonly savedLayout: Panes, saveSet: (() => void) | null, save: () => void, layoutRestored: () => void, updateAddress: () => void, hideReopenOffer: () => void, focusRoom: (room: string) => void},
 *   maxPanes: number | undefined,
 *   notices: {show: (sentence: string) => void},
 *   showMenu: (items: Item[]) => void,
 *   endCatchUp: () => void,
 *   isWaiting: (room: string) => boolean,
 *   askFirst: (question: string, what: Asked) => void,
 * }} PageParts
 */

const PATH = "/accounts/workspaces/";
/** After a failure, the next request waits this long, and then twice as long each time. */
const RETRY_MS = 4_000;
const RETRY_MOST_MS = 60_000;
const NAME_FOR_NONE = gettext("No workspace");

export class PaneSets {
  #page;
  /** The version is not known of sets that the page was sent with. @type {{id: number, name: string, version?: number}[]} */
  #list;
  /** The panes of the set that is shown, as the server has them. @type {Panes} */
  #saved;
  /** Rooms of that set which this page cannot show. They are no change to save. @type {Set<string>} */
  #unshown = new Set();
  /** Panes that stay open although they are not in the set. They are no change to save either. @type {Set<string>} */
  #extra = new Set();
  /** The last request: there is one at a time, so that no answer is older than one that was used. @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** The sets as the last answer has them. @type {PaneSet[]} */
  #answered = [];
  /** What is sending changes now. @type {Promise<string> | null} */
  #saving = null;
  /** Whether something was changed that is not sent yet. */
  #isUnsaved = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  #retryMs = RETRY_MS;
  /** How many switches were begun: the last one counts. */
  #switches = 0;
  #dialog = new NameDialog();

  /** @param {PageParts} page @param {Sent} sent @param {Panes} panes that the set had when the page was sent */
  constructor(page, { list }, panes) {
    this.#page = page;
    this.#list = list;
    this.#saved = panes;
    // The page may be full, and it opens rooms with unsent messages too.
    const opened = this.#current ? page.navigation.savedLayout.order : panes.order;
    this.#unshown = new Set(panes.order.filter((room) => !opened.includes(room)));
    this.#extra = new Set(opened.filter((room) => !panes.order.includes(room)));
    if (this.#current) page.navigation.saveSet = () => void this.#save();
    addEventListener("pagehide", () => this.#sendLastChange());
    this.#showName();
    void this.#save();
  }

  get #current() {
    return this.#page.navigation.setId;
  }

  /** Show the menu of the sets at once, because a menu that opens later would take the keys of a user who types on. */
  openMenu() {
    // The shortcut works after signing out, too.
    if (part(document, "workspaces").hidden) return;
    this.#page.showMenu(this.#items());
    void this.#request();
  }

  /** The sets whose names fit what was typed into the box above the list. @param {string} typed @returns {Option[]} */
  optionsFor(typed) {
    return this.#list
      .filter(({ id, name }) => typed !== "" && id !== this.#current && rank(name, typed) !== null)
      .map(({ id, name }) => ({
        id: `workspace-${id}`,
        label: name,
        mark: gettext("Workspace"),
        act: () => void this.#use(id),
      }));
  }

  /** The server has these versions. @param {Record<string, number>} versions */
  async versionsReceived(versions) {
    await this.#last; // its answer may have them
    const isSame = this.#list.every(({ id, version }) => versions[id] === version);
    if (!isSame || this.#list.length !== Object.keys(versions).length) await this.#request();
  }

  /** What changed while the connection was down. */
  async connected() {
    if (!this.#current) return;
    await this.#save();
    await this.#request();
  }

  /** @returns {Item[]} */
  #items() {
    const current = this.#list.find(({ id }) => id === this.#current);
    /** @type {Item[]} */
    const items = this.#list.map(({ id, name }) => ({
      label: name,
      isOn: id === this.#current,
      act: () => void this.#use(id),
    }));
    if (items.length)
      items.unshift({
        label: NAME_FOR_NONE,
        isOn: this.#current === 0,
        act: () => void this.#use(0),
      });
    items.push({
      label: gettext("Save as…"),
      act: () => this.#dialog.open("", (name) => this.#saveAs(name)),
    });
    if (!current) return items;
    const { id, name } = current;
    items.push({
      label: gettext("Rename…"),
      act: () => this.#dialog.open(name, (newName) => this.#rename(id, newName)),
    });
    items.push({
      label: gettext("Delete…"),
      act: () =>
        this.#page.askFirst(gettext("Delete this workspace?"), {
          text: name,
          label: gettext("Delete"),
          confirmed: () => void this.#delete(id),
        }),
    });
    return items;
  }

  /** @param {string} name @returns {Promise<string>} a sentence if the server refuses */
  async #saveAs(name) {
    const { navigation, panes } = this.#page;
    const { order: rooms, wide, shapes } = panes.layout.panes;
    navigation.save();
    const trouble = await this.#save();
    if (trouble) return trouble;
    const answer = await this.#request({
      ...{ do: "save", name, rooms },
      ...(wide && { wide }),
      shapes: rooms.flatMap((room) => (shapes[room] ? { room, ...shapes[room] } : [])),
    });
    if (typeof answer === "string") return answer;
    const made = answer.workspaces.find(({ id }) => id === answer.saved);
    if (made) this.#follow(made);
    return "";
  }

  /** @param {number} id @param {string} name */
  async #rename(id, name) {
    const answer = await this.#request({ do: "rename", workspace: id, name });
    return typeof answer === "string" ? answer : "";
  }

  /** The panes stay as they are, and belong to no set. @param {number} id */
  async #delete(id) {
    if (id === this.#current) this.#leave();
    const answer = await this.#request({ do: "delete", workspace: id });
    if (typeof answer === "string") this.#page.notices.show(answer);
  }

  /** Show the panes of a set, or those that belong to none. @param {number} id */
  async #use(id) {
    const { navigation, notices, panes, workspace } = this.#page;
    // It would hide the new panes, and bring the old ones back.
    this.#page.endCatchUp();
    const attention = new Attention();
    this.#switches += 1;
    const number = this.#switches;
    const { trouble, unnamed } = await this.#askForSet(id);
    const isWaiting = attention.end();
    if (number !== this.#switches) return;
    if (!unnamed) return notices.show(trouble);
    const used = this.#answered.find((set) => set.id === id);
    if (id && !used) return notices.show(gettext("This workspace was deleted."));
    navigation.hideReopenOffer(); // its room would be opened in this set
    if (panes.layout.peek) workspace.closePane(panes.layout.peek);
    this.#extra.clear();
    this.#show(used ?? unnamed, isWaiting ? undefined : panes.focused);
    if ([...this.#unshown].some((room) => workspace.rooms.has(room)))
      notices.show(fullPageWords(this.#page.maxPanes ?? 0));
    if (used) this.#follow(used);
    else this.#leave();
    // What the user is typing must not go on in another room. If its pane was closed, the page holds the focus.
    if (!isWaiting || panes.focused) return;
    // A strip stays one. On a phone there are none.
    const first = panes.layout.panes.order.find((room) => !panes.isStrip(room));
    if (first === undefined) return;
    // On a phone, a focused composer would open the keyboard.
    if (panes.isPhone) panes.scrollToPane(first);
    else navigation.focusRoom(first);
  }

  /** Ask for a set, after everything is saved that was changed in the one before. @param {number} id @returns {Promise<{trouble: string, unnamed?: Panes}>} */
  async #askForSet(id) {
    const { navigation } = this.#page;
    navigation.save();
    const unsaved = await this.#save();
    if (unsaved) return { trouble: unsaved };
    const answer = await this.#request({ do: "use", workspace: id });
    if (typeof answer === "string") return { trouble: answer };
    // What was changed while the server answered belongs to the set before, too.
    navigation.save();
    const trouble = await this.#save();
    return trouble ? { trouble } : { trouble, unnamed: answer.unnamed };
  }

  /** From now on, changes belong to this set. @param {PaneSet} set */
  #follow(set) {
    const { navigation } = this.#page;
    navigation.setId = set.id;
    navigation.saveSet = () => void this.#save();
    this.#saved = { order: set.order, wide: set.wide, shapes: set.shapes };
    navigation.updateAddress();
    this.#showName();
  }

  /** From now on, changes belong to no set. The panes that are open are no change to save. */
  #leave() {
    const { navigation } = this.#page;
    navigation.setId = 0;
    navigation.saveSet = null;
    this.#unshown.clear();
    this.#extra.clear();
    navigation.layoutRestored();
    navigation.updateAddress();
    this.#showName();
  }

  /**
   * Open, close and order the panes.
   * @param {Panes} wanted
   * @param {PageParts["panes"]["focused"]} [inUse] the pane in which the user is, if they did not ask for this
   */
  #show(wanted, inUse) {
    const { panes, workspace } = this.#page;
    for (const room of this.#ownPanes().order) {
      if (wanted.order.includes(room)) continue;
      // A message that is being written is not cut off. An edit or a composition is in the text, too.
      if (room === inUse?.room && (inUse.composer.text || inUse.composer.draft))
        this.#keep(room, true);
      // They are sent only while their room is open.
      else if (this.#page.isWaiting(room)) this.#keep(room, false);
      else workspace.closePane(room);
    }
    for (const room of wanted.order) this.#extra.delete(room);
    this.#unshown = this.#unshowable(wanted);
    const { order, wide, shapes } = without(wanted, this.#unshown);
    for (const id of order) {
      const room = workspace.rooms.get(id);
      if (room) workspace.openPane(room, false);
    }
    // Another window has kept the room that is provisional here. As a provisional pane it would be left out of what is
    // saved, and so be closed in that window.
    if (panes.layout.peek !== null && order.includes(panes.layout.peek)) panes.layout.peek = null;
    panes.arrangeAs({ order: order.filter((room) => panes.get(room)), wide, shapes });
  }

  /** Leave a pane open that is not in the set. @param {string} room @param {boolean} isWriting otherwise it has unsent messages */
  #keep(room, isWriting) {
    const { notices, workspace } = this.#page;
    this.#extra.add(room);
    const named = { room: workspace.rooms.get(room)?.title ?? "" };
    notices.show(
      isWriting
        ? gettext(
            "“{room}” stays open because you're writing there. It isn't part of this workspace.",
            named,
          )
        : gettext(
            "“{room}” stays open because messages there aren't sent yet. It isn't part of this workspace.",
            named,
          ),
    );
  }

  /** @param {Panes} wanted @returns {Set<string>} */
  #unshowable(wanted) {
    const { panes, workspace, maxPanes } = this.#page;
    const { order, peek } = panes.layout;
    const others = order.filter(
      (room) => (room === peek || this.#extra.has(room)) && !wanted.order.includes(room),
    );
    return unshowable(wanted, {
      isOpen: (room) => panes.get(room) !== undefined,
      isKnown: (room) => workspace.rooms.has(room),
      free: (maxPanes || Number.POSITIVE_INFINITY) - others.length,
    });
  }

  /** The panes of the set as they are here. */
  #ownPanes() {
    const { panes } = this.#page.panes.layout;
    // From now on, closing or opening them is a change.
    for (const room of panes.order) this.#unshown.delete(room);
    for (const room of this.#extra) if (!panes.order.includes(room)) this.#extra.delete(room);
    return without(panes, this.#extra);
  }

  /** Send what was changed here, and again later what fails. @returns {Promise<string>} a sentence if it failed */
  #save() {
    this.#isUnsaved = true;
    this.#saving ??= this.#sendChanges();
    return this.#saving;
  }

  async #sendChanges() {
    clearTimeout(this.#retryTimer);
    await null; // so that the promise is set before it is unset
    try {
      while (this.#isUnsaved && this.#current) {
        this.#isUnsaved = false;
        const answer = await this.#sendChange();
        if (typeof answer !== "string") continue;
        this.#retryTimer = setTimeout(() => void this.#save(), this.#retryMs);
        this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MOST_MS);
        return answer;
      }
      this.#retryMs = RETRY_MS;
      return "";
    } finally {
      this.#saving = null;
    }
  }

  /** @returns {Promise<Answer | string | null>} null: nothing has changed */
  async #sendChange() {
    const { body, panes } = this.#change();
    return body && this.#request(body, { workspace: this.#current, panes });
  }

  /** The page is being closed: send what the server may not have. Another request may be under way, and is not waited for. */
  #sendLastChange() {
    const { body } = this.#change();
    if (body) void ask(PATH, body, true);
  }

  #change() {
    const panes = this.#ownPanes();
    const change = this.#current ? changeOf(without(this.#saved, this.#unshown), panes) : null;
    const layout = { command: "layout", ...change };
    return { panes, body: change && { do: "arrange", workspace: this.#current, change: layout } };
  }

  /**
   * @param {object} [body]
   * @param {{workspace: number, panes: Panes}} [sent] what the server has after this request, if no other window changed the set
   * @returns {Promise<Answer | string>}
   */
  #request(body, sent) {
    const request = this.#last.then(async () => {
      /** @type {Answer | string} */
      const answer = await ask(PATH, body);
      if (typeof answer !== "string") this.#received(answer, sent);
      return answer;
    });
    this.#last = request;
    return request;
  }

  /** @param {Answer} answer @param {{workspace: number, panes: Panes}} [sent] */
  #received({ workspaces }, sent) {
    const old = this.#list.find(({ id }) => id === this.#current);
    this.#answered = workspaces;
    this.#list = workspaces;
    if (!this.#current) return this.#showName();
    const set = workspaces.find(({ id }) => id === this.#current);
    if (!set) {
      const named = { workspace: old?.name ?? "" };
      this.#page.notices.show(
        gettext("The workspace “{workspace}” was deleted. Its panes stay open.", named),
      );
      return this.#leave();
    }
    const own = this.#ownPanes();
    const base =
      sent?.workspace === this.#current ? sent.panes : without(this.#saved, this.#unshown);
    const merged = mergePanes(base, own, set);
    this.#saved = { order: set.order, wide: set.wide, shapes: set.shapes };
    this.#showName();
    this.#unshown = this.#unshowable(merged);
    if (changeOf(own, without(merged, this.#unshown))) this.#show(merged, this.#page.panes.focused);
  }

  #showName() {
    const name = this.#list.find(({ id }) => id === this.#current)?.name;
    part(part(document, "workspaces"), "name").textContent = name ?? gettext("Workspaces");
  }
}

/** Finds out whether the user did something else while the server was asked. */
class Attention {
  #element = document.activeElement;
  #hasActed = false;

  constructor() {
    addEventListener("keydown", this.#acted, true);
    addEventListener("input", this.#acted, true);
  }

  #acted = (/** @type {Event & {repeat?: boolean}} */ { repeat }) => {
    this.#hasActed ||= !repeat;
  };

  /** @returns {boolean} whether the user still waits for the answer */
  end() {
    removeEventListener("keydown", this.#acted, true);
    removeEventListener("input", this.#acted, true);
    return !this.#hasActed && document.activeElement === this.#element;
  }
}

/** Asks for the name of a workspace. What is typed stays until the server has taken it. */
class NameDialog {
  #dialog = /** @type {HTMLDialogElement} */ (part(document, "workspace-dialog"));
  #input = /** @type {HTMLInputElement} */ (part(this.#dialog, "name"));
  /** @type {(name: string) => Promise<string>} */
  #named = async () => "";

  constructor() {
    part(this.#dialog, "cancel").addEventListener("click", () => this.#dialog.close());
    this.#input.addEventListener("input", () => this.#showTrouble(""));
    part(this.#dialog, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /** @param {string} name to change, or "" @param {(name: string) => Promise<string>} named answers a sentence if the name is refused */
  open(name, named) {
    this.#named = named;
    this.#showTrouble("");
    this.#input.value = name;
    part(this.#dialog, "heading").textContent = name
      ? gettext("Rename workspace")
      : gettext("Save as workspace");
    this.#dialog.showModal();
    this.#input.select();
  }

  async #submit() {
    const trouble = await this.#named(this.#input.value);
    if (trouble) this.#showTrouble(trouble);
    else this.#dialog.close();
  }

  /** @param {string} sentence */
  #showTrouble(sentence) {
    const trouble = part(this.#dialog, "trouble");
    trouble.hidden = sentence === "";
    trouble.textContent = sentence;
  }
}
