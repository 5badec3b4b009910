/** Changes the text of a box as typing would: at the caret, with an `input` event, and so that the browser can undo it. */

/** Tell whether a key belongs to an input method. Safari says so of the key that ends a composition only by its old code. @param {KeyboardEvent} event */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/**
 * Replace a part of the text, and put the caret after the new part.
 * @param {HTMLTextAreaElement} box
 * @param {number} start
 * @param {number} end
 * @param {string} text
 */
export function replaceText(box, start, end, text) {
  if (box.readOnly) return;
  // Browsers send this event only for what the user types.
  box.dispatchEvent(new InputEvent("beforeinput", { bubbles: true, inputType: "insertText" }));
  box.focus({ preventScroll: true });
  box.setSelectionRange(start, end);
  // Deprecated, but nothing else keeps the browser's undo. Where it does nothing, the text is set.
  if (document.execCommand("insertText", false, text)) return;
  box.setRangeText(text, start, end, "end");
  box.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText" }));
}

/** Tell whether what is typed goes into this element. @param {EventTarget | null} target */
export function isTextField(target) {
  return target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
}
