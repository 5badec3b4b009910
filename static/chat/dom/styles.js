/** Loads a style sheet that is not needed for the first view. */

/** @type {Map<string, Promise<unknown>>} */
const loading = new Map();

/** @param {string} name in the page's import map @returns {Promise<unknown>} when it applies */
export function loadStyles(name) {
  const known = loading.get(name);
  if (known) return known;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = import.meta.resolve(name);
  const done = new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => {
      loading.delete(name); // so that the next use tries again
      link.remove();
      reject(new Error(`no styles ${name}`));
    };
  });
  loading.set(name, done);
  document.head.append(link);
  return done;
}
