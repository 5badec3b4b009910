/** Shows a message's files: images in boxes of one size, so that nothing moves when they arrive, and others by name. */

import { copyElement, part } from "../dom/templates.js";
import { addressOf, sizeWords } from "../model/files.js";

/** @import {FileFacts} from "../model/files.js" */

/** @param {HTMLElement} body the message's text, under which its files stand @param {FileFacts[]} files */
export function showFiles(body, files) {
  const key = files.map(({ id }) => id).join();
  const shown = body.parentElement?.nextElementSibling;
  if (shown instanceof HTMLElement && shown.dataset.files !== undefined) {
    if (shown.dataset.files === key) return;
    shown.remove();
  }
  if (!files.length) return;
  const list = copyElement("files-template");
  list.dataset.files = key;
  list.append(...files.map(fileElement));
  body.parentElement?.after(list);
}

/** @param {FileFacts} file */
function fileElement(file) {
  const { name, size, width } = file;
  const element = copyElement(width ? "thumb-template" : "chip-template");
  const link = /** @type {HTMLAnchorElement} */ (element.firstElementChild);
  link.href = addressOf(file);
  link.title = name;
  part(element, "name").textContent = name;
  if (width) {
    const image = /** @type {HTMLImageElement} */ (part(element, "image"));
    image.alt = name;
    image.src = `${link.href}thumbnail/`;
  } else part(element, "size").textContent = sizeWords(size);
  return element;
}
