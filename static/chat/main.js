/** Starts the page: creates its parts, connects them, and passes on the browser's events. */

import ReconnectingWebSocket from "reconnecting-websocket";
import { part } from "./dom/templates.js";
import { MessageList } from "./log/message_list.js";
import { Alerts } from "./model/alerts.js";
import { Connection } from "./model/connection.js";
import { Drafts } from "./model/drafts.js";
import { shownNames } from "./model/names.js";
import { Outbox } from "./model/outbox.js";
import { openStore } from "./model/outbox_store.js";
import { Preferences } from "./model/preferences.js";
import { SignedOut } from "./model/signed_out.js";
import { Tabs } from "./model/tabs.js";
import { Unread } from "./model/unread.js";
import { Workspace } from "./model/workspace.js";
import { Page } from "./page/page.js";
import { RoomList } from "./page/room_list.js";
import { Composer } from "./pane/composer.js";
import { People } from "./pane/people.js";
import { PinnedAlerts } from "./pane/pinned_alerts.js";
import { RoomPane } from "./pane/room_pane.js";

/** @import {Socket} from "./model/connection.js" */
/** @import {Send} from "./model/outbox.js" */
/** @import {Config} from "./page/page.js" */

customElements.define("message-list", MessageList);
customElements.define("room-composer", Composer);
customElements.define("room-people", People);
customElements.define("pinned-alerts", PinnedAlerts);
customElements.define("room-pane", RoomPane);
customElements.define("room-list", RoomList);

/** @type {Config} */
const config = JSON.parse(document.getElementById("config")?.textContent ?? "");
shownNames.me = config.user;
shownNames.learn(config.users);
const stream = new URL(config.stream, location.href);
stream.protocol = location.protocol === "https:" ? "wss:" : "ws:";
// The cookie may belong to another user by the time the page reconnects. The server then refuses the connection.
stream.searchParams.set("user", String(config.user.id));
stream.searchParams.set("language", document.documentElement.lang);

const connection = new Connection(
  stream.href,
  (url, options) =>
    /** @type {Socket} */ (/** @type {unknown} */ (new ReconnectingWebSocket(url, [], options))),
);
/** @type {Send} */
const send = (command) => connection.send(command);
const store = openStore();
// The epoch of each room's log: in a restored or another database, a room's id may belong to another log.
const epochs = new Map(Object.entries(config.epochs));
const { locks } = navigator;
const outbox = new Outbox(config.user.id, { store, send, locks, epochs });
const tabs = new Tabs(locks);
const alerts = new Alerts(config.user.id, store, config.now);
const preferences = new Preferences(config.user.id, store);
const drafts = new Drafts(config.user.id, {
  ...{ store, tabs, epochs },
  isSent: (id) => outbox.has(id),
});
const page = new Page(
  config,
  { outbox, drafts, alerts, preferences, unread: new Unread(send), store, tabs },
  (view) =>
    new Workspace(config.rooms, {
      ...{ send, outbox, view, epochs },
      ...{ maxPanes: config.limits.rooms, me: config.user.id },
    }),
  send,
);
const { workspace } = page;
page.ontrynow = () => connection.wake();
const signedOut = new SignedOut(config.user.id, {
  store,
  fetchUser: async () => (await (await fetch(config.session, { cache: "no-store" })).json()).user,
  userReturned: () => connection.signedInAgain(),
  userReplaced: () => page.userReplaced(),
});

// Rooms with unsent messages are opened too, so that the messages are sent. Copies need no pane.
const { open, at } = config;
const waiting = outbox.rooms.filter((id) => outbox.isWaiting(id));
for (const id of new Set([...open, ...waiting])) {
  const room = workspace.rooms.get(id);
  if (room) workspace.openPane(room, !at && open.length === 1 && id === open[0]);
}
if (at) page.jumpToMessage(at.room, at.seq);
// The server does not have a newcomer's layout yet.
if (!config.newcomer) page.layoutRestored();
page.unsent.showOrphans();
signedOut.announce();
connection.start({
  stateChanged: (state, retryAt) => {
    signedOut.setSignedOut(state === "signed out");
    workspace.connectionChanged(state, retryAt);
  },
  frameReceived: (received) => workspace.frameReceived(received),
});
hasStarted();

/** Remove the notice that templates/chat/start.html shows after a long wait, unless the browser is too old. */
function hasStarted() {
  Object.assign(window, { multichatHasStarted: true });
  if (!("multichatIsTooOld" in window)) document.getElementById("start-trouble")?.remove();
  part(document, "state").hidden = false;
}

window.addEventListener("storage", ({ key, oldValue, newValue }) => {
  outbox.storageChanged(key, { oldValue, newValue });
  drafts.storageChanged(key, { oldValue, newValue });
  alerts.storageChanged(key);
  preferences.storageChanged(key);
  signedOut.storageChanged(key);
});
window.addEventListener("focus", () => signedOut.checkUser());
window.addEventListener("beforeunload", (event) => {
  page.unsent.repairStorage(true);
  if (page.unsent.isAtRisk) event.preventDefault();
});
// Safari on a phone fires no `beforeunload` when it closes a page.
window.addEventListener("pagehide", () => page.unsent.repairStorage(true));
window.addEventListener("online", () => connection.wake());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  connection.wake();
  signedOut.checkUser();
});
// The socket keeps the session alive, but only a request gives the browser a cookie that lasts longer.
setInterval(() => void fetch(config.session).catch(() => null), 6 * 3600_000);
setInterval(() => {
  connection.tick();
  page.tick();
  signedOut.tick(!document.hidden);
}, 1000);
