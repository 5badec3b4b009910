/** Drafts of messages and edits: kept in the browser's storage, in a record of each tab that writes one. */

/*
 * Only the tab that wrote a record changes it, so no tab overwrites another tab's draft. A room that is opened in a
 * second tab shows and follows the draft of the first, until the user types there: then the second tab has a draft
 * of its own. A draft keeps its id until its text changes, and is sent under this id. So a draft that two tabs show
 * and send is posted once.
 */

import { sameExtras } from "./extras.js";
import { uuid } from "./outbox_store.js";
import { MESSAGE } from "./protocol.js";
import { Records } from "./records.js";

/** @import {Extras} from "./extras.js" */
/** @import {Store} from "./outbox_store.js" */
/** @import {Change} from "./records.js" */
/** @import {Tabs} from "./tabs.js" */

/** The message that is edited, with its text when the edit began. `across`: shared by its copies in other rooms; `isOpen`: the edit is in the box. @typedef {{seq: number, original: string, across?: string | undefined, isOpen: boolean}} EditOf */
/** @typedef {{id: string, room: string, tab: string, text: string, at: number, epoch?: string | undefined, title?: string | undefined, edit?: EditOf | undefined, type?: number | undefined, extras?: Extras | undefined}} Draft */

export class Drafts {
  /** @type {Records<Draft>} */
  #records;
  #tabs;
  #epochs;
  #isSent;
  /** Drafts of other tabs that are shown here, by room. @type {Map<string, Draft>} */
  #shown = new Map();
  /** Rooms that are open in this tab. @type {Set<string>} */
  #openRooms = new Set();
  /** Rooms that were opened before their log was known: no draft of an earlier log may stand in them. @type {Set<string>} */
  #unknown = new Set();
  /** Ids of tabs that are known to be closed. @type {Set<string>} */
  #closedTabs = new Set([""]);
  #signal;
  #store;
  /** Called when another tab changed the draft that a room shows here, or the orphans. @type {(room: string) => void} */
  onchange = () => {};
  /** Called when the user signed out in another tab. */
  onsignout = () => {};

  /**
   * @param {number | string} user
   * @param {{store: Store, tabs: Pick<Tabs, "id" | "previous" | "isClosed">, epochs?: Map<string, string>, isSent?: (id: string) => boolean}} options `isSent`: the draft is in the outbox
   */
  constructor(user, { store, tabs, epochs = new Map(), isSent = () => false }) {
    this.#records = new Records(`multichat.draft.${user}.`, store, { parse, isShared: false });
    this.#signal = `multichat.signed-out.${user}`;
    this.#store = store;
    this.#tabs = tabs;
    this.#epochs = epochs;
    this.#isSent = isSent;
    // These were stored in the outbox, but the page was closed before they left the box.
    for (const [key, { id }] of this.#records.all) if (isSent(id)) this.#records.remove(key);
    this.#findClosedTabs();
  }

  /** Whether closing the page would lose a draft. After signing out, drafts are given up. */
  get isAtRisk() {
    return this.#records.hasUnstored && !this.#records.isClosed;
  }

  /**
   * A room is opened: choose its draft, which is the one from before a reload, or the newest of another tab.
   * @param {string} room
   */
  openRoom(room) {
    this.#openRooms.add(room);
    if (!this.#epochs.has(room)) this.#unknown.add(room);
    this.#records.loadAll(); // including what other tabs wrote a moment ago
    if (!this.#ownDraft(room)) {
      const drafts = this.#otherDrafts(room).filter(({ edit }) => edit === undefined);
      const draft =
        drafts.find(({ tab }) => tab === this.#tabs.previous) ??
        drafts.sort((a, b) => b.at - a.at)[0];
      if (draft) this.#shown.set(room, draft);
    }
    this.#findClosedTabs();
  }

  /** @param {string} room */
  closeRoom(room) {
    this.#openRooms.delete(room);
    this.#shown.delete(room);
  }

  /** The draft in a room's box, of this tab or another. @param {string} room */
  draftOf(room) {
    return this.#ownDraft(room) ?? this.#shown.get(room);
  }

  /**
   * The id under which to send a text, if it is the draft's text.
   * @param {string} room
   * @param {string} text
   */
  idFor(room, text) {
    const draft = this.draftOf(room);
    return draft?.text === text ? draft.id : undefined;
  }

  /** The unsaved edits in a room, the latest first. @param {string} room */
  editsOf(room) {
    return this.#records.all
      .map(([, draft]) => draft)
      .filter(({ edit }) => edit !== undefined)
      .filter((draft) => draft.room === room && this.#isCurrent(draft))
      .filter(({ tab }) => tab === this.#tabs.id || tab === this.#tabs.previous)
      .sort((a, b) => b.at - a.at);
  }

  /**
   * Save the text in the box. Clearing it here does not remove the draft of another tab.
   * @param {string} room
   * @param {string} text
   * @param {{title?: string | undefined, edit?: EditOf | undefined, id?: string | undefined, type?: number, extras?: Extras | null}} options `id`: under which the text may already have been sent
   */
  saveDraft(room, text, { title, edit, id = uuid(), type = MESSAGE, extras = null } = {}) {
    const key = this.#keyOf(room, edit?.seq);
    const saved = edit === undefined ? this.draftOf(room) : this.#records.get(key);
    const isSame =
      saved?.text === text && (saved.type ?? MESSAGE) === type && sameExtras(saved.extras, extras);
    if (isSame && saved.edit?.isOpen === edit?.isOpen) return;
    const kind = { ...(type !== MESSAGE && { type }), ...(extras && { extras }) };
    const [at, epoch] = [Date.now(), this.#epochs.get(room)];
    if (text === "" && !extras && edit === undefined) this.#records.remove(key);
    else
      this.#records.save(key, {
        id,
        room,
        tab: this.#tabs.id,
        text,
        at,
        epoch,
        title,
        edit,
        ...kind,
      });
    this.#removeReplaced(room, edit?.seq);
  }

  /** The draft is in the outbox now, so remove it from all tabs. @param {string} room */
  removeSent(room) {
    const draft = this.draftOf(room);
    this.#shown.delete(room);
    if (draft) this.removeDraft(draft);
  }

  /** An edit was saved or discarded. @param {string} room @param {number} seq */
  dropEdit(room, seq) {
    this.#records.remove(this.#keyOf(room, seq));
    this.#removeReplaced(room, seq);
  }

  /**
   * Drafts that no box shows: for rooms that are gone or were replaced, and those that closed tabs left.
   * @param {{has: (room: string) => boolean}} rooms existing rooms
   * @returns {{draft: Draft, isLost: boolean}[]} `isLost`: there is no room into which it can be put back
   */
  orphans(rooms) {
    return this.#records.all
      .map(([, draft]) => ({ draft, isLost: !rooms.has(draft.room) || this.#isOutdated(draft) }))
      .filter(({ draft }) => draft.text.trim() !== "" && !this.#isSent(draft.id))
      .filter(({ draft, isLost }) => (isLost ? this.#isOurs(draft) : this.#isAbandoned(draft)))
      .sort((a, b) => a.draft.at - b.draft.at);
  }

  /** An orphan was put back or discarded. @param {Draft} draft */
  removeDraft(draft) {
    this.#records.loadAll(); // another tab may have changed it since
    for (const [key, { id }] of this.#records.all) if (id === draft.id) this.#records.remove(key);
  }

  /**
   * A room may have another log now. Drafts for the old log are kept, but leave the room's box.
   * @param {string} room
   * @returns {boolean} whether there were such drafts
   */
  epochChanged(room) {
    let isFound = false;
    const epoch = this.#epochs.get(room);
    for (const [key, draft] of this.#records.all) {
      if (draft.room !== room || draft.tab !== this.#tabs.id || draft.epoch === epoch) continue;
      const isUnknown = draft.epoch === undefined;
      // A draft from before the room's epoch was known belongs to the current log.
      if (isUnknown) this.#records.save(key, { ...draft, epoch });
      else {
        this.#records.save(`${room}..${draft.id}`, { ...draft, tab: "" });
        this.#records.remove(key);
      }
      isFound ||= !isUnknown;
    }
    if (this.#unknown.delete(room)) {
      this.openRoom(room);
      this.onchange(room);
    }
    const shown = this.#shown.get(room);
    if (shown === undefined || this.#isCurrent(shown)) return isFound;
    this.#shown.delete(room);
    this.#findClosedTabs(); // if its tab is closed, the draft is offered here
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
    // No tab writes these any more, so each tab that knows them stores them again if the storage is emptied.
    for (const [id, { tab }] of this.#records.all)
      if (this.#closedTabs.has(tab)) this.#records.adopt(id);
    for (const [room, shown] of this.#shown) {
      const drafts = this.#otherDrafts(room).filter(({ edit }) => edit === undefined);
      const next =
        drafts.find(({ id }) => id === shown.id) ?? drafts.find(({ tab }) => tab === shown.tab);
      if (next) this.#shown.set(room, next);
      else this.#shown.delete(room);
    }
    for (const room of this.#openRooms) this.onchange(room);
  }

  /** Store again what the storage lost. @param {boolean} [isLast] the page is being closed */
  repairStorage(isLast) {
    this.#records.repairStorage(isLast);
  }

  /** Remove everything, in all tabs, at sign-out. */
  clear() {
    this.#records.loadAll();
    for (const [key] of this.#records.all) this.#records.remove(key);
    this.#shown.clear();
    try {
      this.#store.setItem(this.#signal, "now");
    } catch {
      // The storage is full: other tabs are notified of each removed draft instead.
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
    return keyOf(room, this.#tabs.id, seq);
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

  /** Whether the draft was written for the log that the room has now. @param {Draft} draft */
  #isCurrent({ room, epoch, tab }) {
    return epoch === undefined ? tab === this.#tabs.id : epoch === this.#epochs.get(room);
  }

  /** Whether the draft was written for another log than the room has now. @param {Draft} draft */
  #isOutdated(draft) {
    return this.#epochs.has(draft.room) && !this.#isCurrent(draft);
  }

  /** Whether the draft is not that of another open tab. @param {Draft} draft */
  #isOurs({ tab }) {
    return tab === this.#tabs.id || this.#closedTabs.has(tab);
  }

  /** Whether a closed tab left the draft, and its room does not show the same text. @param {Draft} draft */
  #isAbandoned(draft) {
    const { tab, room, text, edit } = draft;
    const isOpen = this.#openRooms.has(room) && this.#isCurrent(draft);
    if (!this.#closedTabs.has(tab) || !isOpen) return false;
    const shown = edit ? this.#records.get(this.#keyOf(room, edit.seq)) : this.draftOf(room);
    return shown?.text !== text;
  }

  /**
   * The user changed a text that came from another tab. If that tab is closed, remove its record, which is outdated.
   * @param {string} room
   * @param {number} [seq] of an edit; edits come from the page before a reload
   */
  async #removeReplaced(room, seq) {
    const { previous } = this.#tabs;
    const edited = previous ? this.#records.get(keyOf(room, previous, seq)) : undefined;
    const shown = seq === undefined ? this.#shown.get(room) : edited;
    if (seq === undefined) this.#shown.delete(room);
    if (!shown || !this.#isCurrent(shown)) return;
    if (!this.#closedTabs.has(shown.tab) && !(await this.#tabs.isClosed(shown.tab))) return;
    // Only if the record has not changed since, also without its event.
    this.#records.loadAll();
    const name = keyOf(room, shown.tab, seq);
    if (this.#records.get(name)?.id === shown.id) this.#records.remove(name);
    this.onchange(room);
  }

  /** Find out which tabs were closed, and take over their drafts. */
  #findClosedTabs() {
    const tabs = new Set(this.#records.all.map(([, { tab }]) => tab));
    for (const tab of tabs) {
      if (tab === this.#tabs.id) continue;
      if (this.#closedTabs.has(tab)) this.#inheritFrom(tab);
      else this.#tabs.isClosed(tab).then((isClosed) => isClosed && this.#inheritFrom(tab));
    }
  }

  /** @param {string} tab a closed one */
  #inheritFrom(tab) {
    this.#closedTabs.add(tab);
    this.#records.loadAll(); // the events of its last changes may still be due
    const inherited = this.#records.all.filter(([, draft]) => draft.tab === tab);
    for (const [key, draft] of inherited) {
      const { room, edit } = draft;
      this.#records.adopt(key);
      if (!this.#openRooms.has(room) || tab === "") continue;
      const own = this.#keyOf(room, edit?.seq);
      if (this.#records.get(own)?.id === draft.id) this.#records.remove(key);
      // Before a reload, this tab may have had an edit of the same message: then that one is shown, and this one offered.
      const { previous } = this.#tabs;
      const isShown =
        edit === undefined
          ? this.#shown.get(room)?.tab === tab
          : tab === previous || !this.#records.get(keyOf(room, previous ?? "", edit.seq));
      if (!isShown || this.#records.get(own) !== undefined || !this.#isCurrent(draft)) continue;
      // Save the new record before removing the old one: a crash in between may double the draft, but not lose it.
      this.#records.save(own, { ...draft, tab: this.#tabs.id });
      this.#records.remove(key);
      if (edit === undefined) this.#shown.delete(room);
    }
    if (inherited.length) for (const room of this.#openRooms) this.onchange(room);
  }
}

/** The key of a tab's draft, or of its edit of a message. @param {string} room @param {string} tab @param {number} [seq] */
function keyOf(room, tab, seq) {
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
    // An older version may have written it, which stored the text alone.
  }
  const isOld = text !== "" && /^\d+$/.test(key);
  return isOld ? { id: key, room: key, tab: "", text, at: 0, epoch: "" } : null;
}
