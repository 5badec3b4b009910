/** The page's keyboard shortcuts: Alt+Shift and an arrow, which are free while a message is being written. */

export const MOVE_LEFT = "Alt+Shift+ArrowLeft";
export const MOVE_RIGHT = "Alt+Shift+ArrowRight";
export const NEXT_UNREAD = "Alt+Shift+ArrowDown";
export const PREVIOUS_UNREAD = "Alt+Shift+ArrowUp";

/**
 * Name the keys of an event, as in `aria-keyshortcuts`.
 * On a Mac, Alt+Shift and an arrow selects words, so it is not taken from a text box.
 * @param {Pick<KeyboardEvent, "key" | "altKey" | "shiftKey" | "ctrlKey" | "metaKey">} event
 * @param {boolean} isSelecting
 */
export function chord({ key, altKey, shiftKey, ctrlKey, metaKey }, isSelecting) {
  if (!altKey || !shiftKey || ctrlKey || metaKey || isSelecting) return "";
  return `Alt+Shift+${key}`;
}

/**
 * @param {EventTarget | null} target
 * @param {string} platform
 */
export function isSelectingText(target, platform) {
  return /mac/i.test(platform) && target instanceof HTMLTextAreaElement && target.value !== "";
}
