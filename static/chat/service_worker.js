/** Shows the messages of Web Push, and goes to the message that is clicked. It keeps nothing and answers no request. */

/** @typedef {{room: string, seq: number, title?: string, author?: string, text?: string, alert?: boolean}} Push */
/** @typedef {Event & {waitUntil: (done: Promise<unknown>) => void}} Lasting */
/** @typedef {{url: string, focus: () => Promise<unknown>, postMessage: (data: unknown) => void}} Page */

const worker = /** @type {any} */ (globalThis);
/** What the server has put before this source: its sentences in the language of the user. @type {Record<string, string>} */
const sentences = worker.multichatCatalogue ?? {};
const ICON = "/static/chat/app/icon-192.png";
/** Characters that turn the direction of the text around them. */
const TURNS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;

/** One line in an isolate of its own. @param {string} text */
function tidy(text) {
  return `\u2068${text.replace(TURNS, "").replace(/\s+/g, " ").trim()}\u2069`;
}

/** @param {string} sentence */
function translate(sentence) {
  return sentences[sentence] ?? sentence;
}

/** @param {Push} push */
function wordsOf({ title, author, text, alert }) {
  if (title === undefined) return { title: "Multichat", body: translate("You have new messages.") };
  const body = author ? `${tidy(author)}: ${tidy(text ?? "")}` : tidy(text ?? "");
  return {
    title: alert ? translate("Alert in {room}").replace("{room}", () => tidy(title)) : tidy(title),
    body,
  };
}

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {Lasting} */ event) =>
  event.waitUntil(worker.clients.claim()),
);

worker.addEventListener("push", (/** @type {Lasting & {data: {json: () => Push}}} */ event) => {
  const push = event.data.json();
  const { title, body } = wordsOf(push);
  const data = { room: push.room, seq: push.seq };
  // The tag lets a newer message of the room replace an older one.
  const options = { body, data, tag: `room-${push.room}`, icon: ICON, dir: "auto" };
  event.waitUntil(worker.registration.showNotification(title, options));
});

worker.addEventListener(
  "notificationclick",
  (/** @type {Lasting & {notification: Notification}} */ event) => {
    event.notification.close();
    event.waitUntil(show(event.notification.data));
  },
);

/** The addresses under which the page may be open. The browser gives the one that it was opened with, such as that of a room. */
const PAGE = /^\/(chat\/.*)?$/;

/** Show a message in an open page, otherwise in a new one. @param {{room: string, seq: number}} message */
async function show({ room, seq }) {
  const filter = { type: "window", includeUncontrolled: true };
  /** @type {Page[]} */
  const pages = await worker.clients.matchAll(filter);
  const page = pages.find(({ url }) => PAGE.test(new URL(url).pathname));
  try {
    if (page) {
      await page.focus();
      return page.postMessage({ room, seq });
    }
  } catch {
    // It was closed in this moment.
  }
  return worker.clients.openWindow(`/?rooms=${room}&at=${room}.${seq}`);
}
