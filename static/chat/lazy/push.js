/** Web Push of this browser: messages that come while no page is open, by the service worker. Loaded when it is turned on. */

import { ask } from "../dom/ask.js";
import { PUSH_FAILED } from "../model/strings.js";

const ADDRESS = "/service_worker.js";
/** The only policy of the page: it knows this one address. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("service-worker", {
  createScriptURL: () => ADDRESS,
});

/**
 * Subscribe this browser, or tell the server what has changed. Returns a sentence if it failed.
 * @param {{showsText: boolean, pausedUntil: number}} wanted
 * @returns {Promise<string | null>}
 */
export async function turnOn({ showsText, pausedUntil }) {
  /** @type {{key: string} | string} */
  const site = await ask("/push/");
  if (typeof site === "string") return site;
  try {
    const address = policy?.createScriptURL("") ?? ADDRESS;
    const { pushManager } = await navigator.serviceWorker.register(address);
    const subscription = await subscribe(pushManager, bytesOf(site.key));
    const { endpoint, keys } = subscription.toJSON();
    const times = { shows_text: showsText, paused_until: pausedUntil / 1000 };
    const answer = await ask("/push/", { endpoint, keys, ...times });
    return typeof answer === "string" ? answer : null;
  } catch {
    return PUSH_FAILED;
  }
}

/** Unsubscribe this browser. */
export async function turnOff() {
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  if (!subscription) return;
  await ask("/push/end/", { endpoint: subscription.endpoint });
  await subscription.unsubscribe();
}

/** A subscription for another key of the site would never receive anything. @param {PushManager} manager @param {Uint8Array<ArrayBuffer>} key */
async function subscribe(manager, key) {
  const known = await manager.getSubscription();
  const knownKey = new Uint8Array(known?.options.applicationServerKey ?? []);
  if (known && knownKey.join() === key.join()) return known;
  await known?.unsubscribe();
  return manager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

/** @param {string} text base64url */
function bytesOf(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
