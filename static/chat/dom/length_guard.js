/** Refuses to put more into a box than a message can ever have: millions of characters would block the page for seconds. */

/**
 * @param {HTMLTextAreaElement} box
 * @param {{most: number, refused: (text: string) => void}} bound `refused` gets the whole text that would have stood in the box
 */
export function guardLength(box, { most, refused }) {
  let kept = "";
  /** @param {Event} event @param {string | null | undefined} text that is about to be put in */
  const check = (event, text) => {
    kept = box.value;
    const { selectionStart: start, selectionEnd: end } = box;
    if (!text || kept.length - (end - start) + text.length <= most) return;
    event.preventDefault();
    refused(kept.slice(0, start) + text + kept.slice(end));
  };
  // Most browsers name the text of a paste in `beforeinput` too, and some only there.
  box.addEventListener("paste", (event) =>
    check(event, event.clipboardData?.getData("text/plain")),
  );
  box.addEventListener("drop", (event) => check(event, event.dataTransfer?.getData("text/plain")));
  box.addEventListener("beforeinput", (event) =>
    check(event, event.data ?? event.dataTransfer?.getData("text/plain")),
  );
  // Whatever else puts text in: what stood there comes back before it is laid out.
  box.addEventListener("input", (event) => {
    if (box.value.length > most) {
      const text = box.value;
      box.value = kept;
      event.stopImmediatePropagation();
      refused(text);
    } else kept = box.value;
  });
}
