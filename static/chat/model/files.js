/** What is said of a message's files. */

import { LOCALE } from "./language.js";

/** A file of a message; one with a `width` is an image that may be shown. @typedef {{id: string, name: string, type: string, size: number, width?: number, height?: number}} FileFacts */

/** The key of the tab's storage for the files of unsent messages (kept_files.js). */
export const KEPT_FILES = "multichat.files";

/** The text that the server gives a message of files alone. @param {FileFacts[]} files */
export function fileNames(files) {
  return files.map(({ name }) => name).join(", ");
}

/** @param {number} size in bytes */
export function sizeWords(size) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const power = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), 3);
  return new Intl.NumberFormat(LOCALE, {
    ...{ style: "unit", unit: units[power] ?? "byte", unitDisplay: power ? "short" : "long" },
    maximumFractionDigits: power && size / 1024 ** power < 10 ? 1 : 0,
  }).format(size / 1024 ** power);
}

/** @param {FileFacts} file */
export function addressOf({ id }) {
  return `/files/${id}/`;
}
