/** What is written and not sent, messages and edits: kept in the browser's storage, a record for each tab that writes. */

/*
 * Only the tab that wrote a record changes it, so no tab overwrites what another one has. A room that is
 * opened in a second tab shows the draft of the first, and follows it, until something is typed there: then
 * the second tab has a draft of its own. A draft keeps its id until its text changes, and is sent under it:
 * if it stands in two tabs and is sent in both, it is posted once.
 */

import { uuid } from "./outbox_store.js";
import { Records } from "./records.js";

/** @import {Store} from "./outbox_store.js" */
/** @import {Change} from "./records.js" */
/** @import {Tabs} from "./tabs.js" */

/** An edit has the number of its message, and what the message was. `isOpen`: it stands in the box now. @typedef {{seq: number, original: string, isOpen: boolean}} EditOf */
/** @typedef {{id: string, room: string, tab: string, text: string, at: number, epoch?: string | undefined, title?: string | undefined, edit?: EditOf | undefined}} Draft */

export class Drafts {
  /** @type {Records<Draft>} */
  #records;
  #tabs;
  #epochs;
  #isSent;
  /** Drafts of other tabs that a room shows here, by room. @type {Map<string, Draft>} */
  #shown = new Map();
  /** Rooms that are open here. @type {Set<string>} */
  #openRooms = new Set();
  /** Tabs that were closed. @type {Set<string>} */
  #closedTabs = new Set([""]);
  #signal;
  #store;
  /** Told when another tab changed what a room shows here, or what is left over. @type {(room: string) => void} */
  onchange = () => {};
  /** Told when the user signed out in another tab. */
  onsignout = () => {};

  /**
   * @param {number | string} user
   * @param {{store: Store, tabs: Pick<Tabs, "id" | "previous" | "isClosed">, epochs?: Map<string, string>, isSent?: (id: string) => boolean}} outside `isSent`: it is in the outbox
   */
  constructor(user, { store, tabs, epochs = new Map(), isSent = () => false }) {
    this.#records = new Records(`multichat.draft.${user}.`, store, { parse, isShared: false });
    this.#signal = `multichat.signed-out.${user}`;
    this.#store = store;
    this.#tabs = tabs;
    this.#epochs = epochs;
    this.#isSent = isSent;
    // Stored in the outbox, and the page was gone before it left the box.
    for (const [key, { id }] of this.#records.all) if (isSent(id)) this.#records.remove(key);
    this.#findClosedTabs();
  }

  /** Whether closing the page would lose something. Signing out has given up what is half written. */
  get isAtRisk() {
    return this.#records.hasUnstored && !this.#records.isClosed;
  }

  /**
   * A room is opened: its draft is the one that was here before, or the newest of another tab.
   * @param {string} room
   */
  openRoom(room) {
    this.#openRooms.add(room);
    this.#records.loadAll(); // what other tabs wrote a moment ago
    if (!this.#ownDraft(room)) {
      const others = this.#otherDrafts(room).filter(({ edit }) => edit === undefined);
      const draft =
        others.find(({ tab }) => tab === this.#tabs.previous) ??
        others.sort((a, b) => b.at - a.at)[0];
      if (draft) this.#shown.set(room, draft);
    }
    this.#findClosedTabs();
  }

  /** @param {string} room */
  closeRoom(room) {
    this.#openRooms.delete(room);
    this.#shown.delete(room);
  }

  /** What a room's box shows: the draft of this tab, or of another. @param {string} room */
  draftOf(room) {
    return this.#ownDraft(room) ?? this.#shown.get(room);
  }

  /**
   * The id under which a text is sent, if it is a draft.
   * @param {string} room
   * @param {string} text
   */
  idFor(room, text) {
    const draft = this.draftOf(room);
    return draft?.text === text ? draft.id : undefined;
  }

  /** Edits of this room that are not saved, the last one first. @param {string} room */
  editsOf(room) {
    return this.#records.all
      .map(([, draft]) => draft)
      .filter(({ edit }) => edit !== undefined)
      .filter((draft) => draft.room === room && this.#isCurrent(draft))
      .filter(({ tab }) => tab === this.#tabs.id || tab === this.#tabs.previous)
      .sort((a, b) => b.at - a.at);
  }

  /**
   * Keep what is in the box. What is cleared here stays in the other tab that has it, too.
   * @param {string} room
   * @param {string} text
   * @param {{title?: string | undefined, edit?: EditOf | undefined, id?: string | undefined}} more `id`: of a text that may have been sent under it already
   */
  saveDraft(room, text, { title, edit, id = uuid() } = {}) {
    const key = this.#keyOf(room, edit?.seq);
    const now = edit === undefined ? this.draftOf(room) : this.#records.get(key);
    if (now?.text === text && now.edit?.isOpen === edit?.isOpen) return;
    const [at, epoch] = [Date.now(), this.#epochs.get(room)];
    if (text === "" && edit === undefined) this.#records.remove(key);
    else this.#records.save(key, { id, room, tab: this.#tabs.id, text, at, epoch, title, edit });
    this.#removeReplaced(room, edit?.seq);
  }

  /** What the box shows is in the outbox: it stands nowhere any more, in no tab. @param {string} room */
  removeSent(room) {
    const draft = this.draftOf(room);
    this.#shown.delete(room);
    if (draft) this.removeDraft(draft);
  }

  /** An edit was saved, or discarded. @param {string} room @param {number} seq */
  dropEdit(room, seq) {
    this.#records.remove(this.#keyOf(room, seq));
    this.#removeReplaced(room, seq);
  }

  /**
   * What stands in no box: of rooms that are gone or were replaced, and what closed tabs had besides.
   * @param {{has: (room: string) => boolean}} rooms those that are there
   * @returns {{draft: Draft, isLost: boolean}[]} `isLost`: it has no room to be put back into
   */
  orphans(rooms) {
    return this.#records.all
      .map(([, draft]) => ({ draft, isLost: !rooms.has(draft.room) || !this.#isCurrent(draft) }))
      .filter(({ draft }) => draft.text.trim() !== "" && !this.#isSent(draft.id))
      .filter(({ draft, isLost }) => (isLost ? this.#isOurs(draft) : this.#isAbandoned(draft)))
      .sort((a, b) => a.draft.at - b.draft.at);
  }

  /** A leftover was put back, or discarded. @param {Draft} draft */
  removeDraft(draft) {
    this.#records.loadAll(); // another tab may have gone on with it
    for (const [key, { id }] of this.#records.all) if (id === draft.id) this.#records.remove(key);
  }

  /**
   * A room may have another log now: what was written for the one before stays, but not in its box.
   * @param {string} room
   * @returns {boolean} whether something was there
   */
  epochChanged(room) {
    let isFound = false;
    const now = this.#epochs.get(room);
    for (const [key, draft] of this.#records.all) {
      if (draft.room !== room || draft.tab !== this.#tabs.id || draft.epoch === now) continue;
      const isUnknown = draft.epoch === undefined;
      // Written before it was known which log the room has: it belongs to this one.
      if (isUnknown) this.#records.save(key, { ...draft, epoch: now });
      else {
        this.#records.save(`${room}..${draft.id}`, { ...draft, tab: "" });
        this.#records.remove(key);
      }
      isFound ||= !isUnknown;
    }
    const shown = this.#shown.get(room);
    if (shown === undefined || this.#isCurrent(shown)) return isFound;
    this.#shown.delete(room);
    this.#findClosedTabs(); // then it is offered here
    return true;
  }

  /**
   * Another tab changed the storage.
   * @param {string | null} key
   * @param {Change} [change]
   */
  storageChanged(key, change) {
    if (key === this.#signal) return this.#signedOut();
    if (!this.#records.storageChanged(key, change)) return;
    for (const [room, shown] of this.#shown) {
      const now = this.#otherDrafts(room).filter(({ edit }) => edit === undefined);
      const next =
        now.find(({ id }) => id === shown.id) ?? now.find(({ tab }) => tab === shown.tab);
      if (next) this.#shown.set(room, next);
      else this.#shown.delete(room);
    }
    for (const room of this.#openRooms) this.onchange(room);
  }

  /** Store again what the storage lost. @param {boolean} [isLast] */
  repairStorage(isLast) {
    this.#records.repairStorage(isLast);
  }

  /** Forget everything, at sign-out, in all tabs. */
  clear() {
    this.#records.loadAll();
    for (const [key] of this.#records.all) this.#records.remove(key);
    this.#shown.clear();
    try {
      this.#store.setItem(this.#signal, "now");
    } catch {
      // Full: other tabs hear of each draft that went.
    }
    this.#store.removeItem(this.#signal);
  }

  /** The user is signed in again. */
  reopen() {
    this.#records.open();
  }

  #signedOut() {
    for (const [key, { tab }] of this.#records.all)
      if (tab === this.#tabs.id) this.#records.remove(key);
    this.#records.close();
    this.#shown.clear();
    this.onsignout();
  }

  /** @param {string} room @param {number} [seq] */
  #keyOf(room, seq) {
    return slot(room, this.#tabs.id, seq);
  }

  /** @param {string} room */
  #ownDraft(room) {
    const draft = this.#records.get(this.#keyOf(room));
    return draft && this.#isCurrent(draft) ? draft : undefined;
  }

  /** @param {string} room */
  #otherDrafts(room) {
    return this.#records.all
      .map(([, draft]) => draft)
      .filter((draft) => draft.room === room && draft.tab !== this.#tabs.id && draft.tab !== "")
      .filter((draft) => this.#isCurrent(draft) && !this.#isSent(draft.id));
  }

  /** Whether it was written for the log that has the room's number now. @param {Draft} draft */
  #isCurrent({ room, epoch, tab }) {
    const now = this.#epochs.get(room);
    if (now === undefined) return true;
    return epoch === now || (epoch === undefined && tab === this.#tabs.id);
  }

  /** Whether no other tab has it. @param {Draft} draft */
  #isOurs({ tab }) {
    return tab === this.#tabs.id || this.#closedTabs.has(tab);
  }

  /** Whether a closed tab left it, and it is not what its room shows. @param {Draft} draft */
  #isAbandoned({ tab, room, text, edit }) {
    if (!this.#closedTabs.has(tab) || !this.#openRooms.has(room)) return false;
    const shown = edit ? this.#records.get(this.#keyOf(room, edit.seq)) : this.draftOf(room);
    return shown?.text !== text;
  }

  /**
   * Something was done with the text of another tab: if that tab is closed, what it left is the version before.
   * @param {string} room
   * @param {number} [seq] of an edit: those of the page before the reload are shown here
   */
  async #removeReplaced(room, seq) {
    const { previous } = this.#tabs;
    const key = seq === undefined ? this.#shown.get(room)?.tab : previous;
    const shown = key ? this.#records.get(slot(room, key, seq)) : undefined;
    if (seq === undefined) this.#shown.delete(room);
    if (!shown || !this.#isCurrent(shown)) return;
    if (!this.#closedTabs.has(shown.tab) && !(await this.#tabs.isClosed(shown.tab))) return;
    // Unless it has changed since, or is about to be heard of.
    this.#records.loadAll();
    const name = slot(room, shown.tab, seq);
    if (this.#records.get(name)?.id === shown.id) this.#records.remove(name);
    this.onchange(room);
  }

  /** Find out which tabs were closed, and take over what they left. */
  #findClosedTabs() {
    const tabs = new Set(this.#records.all.map(([, { tab }]) => tab));
    for (const tab of tabs) {
      if (tab === this.#tabs.id) continue;
      if (this.#closedTabs.has(tab)) this.#inheritFrom(tab);
      else this.#tabs.isClosed(tab).then((isClosed) => isClosed && this.#inheritFrom(tab));
    }
  }

  /** @param {string} tab that was closed */
  #inheritFrom(tab) {
    this.#closedTabs.add(tab);
    this.#records.loadAll(); // its last words may not have been heard yet
    const left = this.#records.all.filter(([, draft]) => draft.tab === tab);
    for (const [key, draft] of left) {
      const { room, edit } = draft;
      this.#records.adopt(key);
      if (!this.#openRooms.has(room) || tab === "") continue;
      const own = this.#keyOf(room, edit?.seq);
      if (this.#records.get(own)?.id === draft.id) this.#records.remove(key);
      const isShown = edit !== undefined || this.#shown.get(room)?.tab === tab;
      if (!isShown || this.#records.get(own) !== undefined || !this.#isCurrent(draft)) continue;
      // The new one first: between the two, it is rather there twice than not at all.
      this.#records.save(own, { ...draft, tab: this.#tabs.id });
      this.#records.remove(key);
      if (edit === undefined) this.#shown.delete(room);
    }
    if (left.length) for (const room of this.#openRooms) this.onchange(room);
  }
}

/** Where a tab keeps its draft, or its edit of a message. @param {string} room @param {string} tab @param {number} [seq] */
function slot(room, tab, seq) {
  return [room, tab, ...(seq === undefined ? [] : [seq])].join(".");
}

/**
 * @param {string} text
 * @param {string} [key]
 * @returns {Draft | null}
 */
function parse(text, key = "") {
  try {
    const draft = JSON.parse(text);
    if (typeof draft?.id === "string" && typeof draft.room === "string") return draft;
  } catch {
    // Perhaps of an older version, which kept the text alone.
  }
  const isOld = text !== "" && /^\d+$/.test(key);
  return isOld ? { id: key, room: key, tab: "", text, at: 0, epoch: "" } : null;
}
