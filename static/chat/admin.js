/** Names what Django's own widgets leave without a name or a role, or name in English. */

/** The boxes that search for a row of another list are made of these by Select2. @type {NodeListOf<HTMLSelectElement>} */
const searched = document.querySelectorAll(".admin-autocomplete");

// Select2 reads this when it starts. Without it, the list of results is outside the landmarks of the page.
for (const select of searched) select.dataset.dropdownParent = "main";

addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".search-label-icon")) icon.role = "img";
  const icon = document.querySelector("label[for=searchbar] img");
  const button = document.querySelector("#changelist-search>div>[type=submit]");
  if (icon instanceof HTMLImageElement && button instanceof HTMLInputElement)
    icon.alt = button.value;
});

const { django } = /** @type {{django?: {jQuery: (onready: () => void) => void}}} */ (
  /** @type {unknown} */ (globalThis)
);
// After Django's own functions, which start Select2.
django?.jQuery(() => {
  for (const select of searched) nameBox(select);
});

/** @param {HTMLSelectElement} select */
function nameBox(select) {
  const [label] = select.labels;
  const box = select.nextElementSibling?.querySelector("[role=combobox]");
  const chosen = box?.querySelector("[role=textbox]");
  if (!label || !box || !chosen) return;
  label.id = `${select.id}-label`;
  box.setAttribute("aria-labelledby", `${label.id} ${chosen.id}`);
  box.setAttribute("aria-controls", `select2-${select.id}-results`);
  chosen.role = "presentation";
  chosen.removeAttribute("aria-readonly");
  // The input is made when the list of results opens.
  new MutationObserver(() => {
    const input = document.querySelector(".select2-container--open [role=searchbox]");
    input?.setAttribute("aria-labelledby", label.id);
  }).observe(box, { attributeFilter: ["aria-expanded"] });
}
