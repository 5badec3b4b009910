/** Keeps texts out of a box that are longer than any message: millions of characters would block the page for seconds. */

/**
 * @param {HTMLTextAreaElement} box
 * @param {{maxLength: number, onrefused: (text: string) => void}} guard `onrefused` gets the whole text that the box would have had
 */
export function guardLength(box, { maxLength, onrefused }) {
  let value = "";
  /** @param {Event} event @param {string | null | undefined} text about to be inserted */
  const check = (event, text) => {
    value = box.value;
    const { selectionStart: start, selectionEnd: end } = box;
    if (!text || value.length - (end - start) + text.length <= maxLength) return;
    event.preventDefault();
    onrefused(value.slice(0, start) + text + value.slice(end));
  };
  // Most browsers name a pasted text in `beforeinput` too, and some only there.
  box.addEventListener("paste", (event) =>
    check(event, event.clipboardData?.getData("text/plain")),
  );
  box.addEventListener("drop", (event) => check(event, event.dataTransfer?.getData("text/plain")));
  box.addEventListener("beforeinput", (event) =>
    check(event, event.data ?? event.dataTransfer?.getData("text/plain")),
  );
  // For any other way to insert text: restore the old value before the new one is laid out. A text that is already too
  // long can get shorter.
  box.addEventListener("input", (event) => {
    const text = box.value;
    if (text.length > maxLength && text.length > value.length) {
      box.value = value;
      event.stopImmediatePropagation();
      onrefused(text);
    } else value = text;
  });
}
