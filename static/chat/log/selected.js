/** What handles a selection of messages, loaded when something in a log is selected: by then nothing is copied yet. */

import { LazyPart } from "../dom/lazy_part.js";

export const selection = new LazyPart(() => import("lazy/selection"));

document.addEventListener("selectionchange", () => {
  const selected = getSelection();
  if (!selected || selected.isCollapsed || selection.loaded) return;
  const { anchorNode } = selected;
  const element = anchorNode instanceof Element ? anchorNode : anchorNode?.parentElement;
  // If it can't be loaded, the browser copies what is shown.
  if (element?.closest("message-list")) selection.load().catch(() => {});
});
