/** Tells when a key belongs to a text field and not to the page. */

/**
 * @param {EventTarget | null} target
 * @param {boolean} isMac
 */
export function isSelectingText(target, isMac) {
  return isMac && target instanceof HTMLTextAreaElement && target.value !== "";
}

export const IS_MAC = /mac|iphone|ipad/i.test(globalThis.navigator?.platform ?? "");
