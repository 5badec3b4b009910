/** Prints one part of the page. Without it, the browser's own command prints all panes. */

/** @param {HTMLElement} element */
export function printOnly(element) {
  document.body.classList.add("prints-one");
  element.classList.add("printed");
  addEventListener(
    "afterprint",
    () => {
      document.body.classList.remove("prints-one");
      element.classList.remove("printed");
    },
    { once: true },
  );
  print();
}
