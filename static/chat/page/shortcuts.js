/** Tells whether an arrow key with Alt+Shift selects text, as on a Mac. */

/**
 * @param {EventTarget | null} target
 * @param {boolean} isMac
 */
export function isSelectingText(target, isMac) {
  return isMac && target instanceof HTMLTextAreaElement && target.value !== "";
}

export const IS_MAC = /mac|iphone|ipad/i.test(globalThis.navigator?.platform ?? "");
