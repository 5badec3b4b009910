/** Boot: puts the parts together and starts them. */

import ReconnectingWebSocket from "reconnecting-websocket";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Drafts } from "./drafts.js";
import { MessageList } from "./message_list.js";
import { Outbox } from "./outbox.js";
import { openStore } from "./outbox_store.js";
import { Page } from "./page.js";
import { People } from "./people.js";
import { RoomList } from "./room_list.js";
import { RoomPane } from "./room_pane.js";
import { Workspace } from "./workspace.js";

/** @import {Socket} from "./connection.js" */
/** @import {Send} from "./outbox.js" */
/** @import {Config} from "./page.js" */

customElements.define("message-list", MessageList);
customElements.define("room-composer", Composer);
customElements.define("room-people", People);
customElements.define("room-pane", RoomPane);
customElements.define("room-list", RoomList);

/** @type {Config} */
const config = JSON.parse(document.getElementById("config")?.textContent ?? "");
const stream = new URL(config.stream, location.href);
stream.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const connection = new Connection(
  stream.href,
  (url, options) =>
    /** @type {Socket} */ (/** @type {unknown} */ (new ReconnectingWebSocket(url, [], options))),
);
/** @type {Send} */
const send = (command) => connection.send(command);
const store = openStore();
const outbox = new Outbox(config.user.id, { store, send, locks: navigator.locks });
const page = new Page(config, outbox, new Drafts(config.user.id, store));
const workspace = new Workspace(config.rooms, { send, outbox, view: page });

page.begin(workspace);
// Rooms with unsent texts are opened too, so that the texts go.
for (const id of new Set([...config.open, ...outbox.rooms])) {
  const room = workspace.rooms.get(id);
  if (room) workspace.openPane(room, config.open.length === 1 && id === config.open[0]);
}
page.showOrphans();
connection.start(workspace);

window.addEventListener("storage", ({ key }) => outbox.heard(key));
window.addEventListener("online", () => connection.wake());
document.addEventListener("visibilitychange", () => document.hidden || connection.wake());
setInterval(() => {
  connection.tick();
  page.tick();
}, 1000);
