/** Gives a role to the search icons of Django's SelectFilter2, which have an aria-label but no role, and translates the one of its lists, which is English. They exist when the page has loaded. */

addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".search-label-icon")) icon.role = "img";
  const icon = document.querySelector("label[for=searchbar] img");
  const button = document.querySelector("#changelist-search>div>[type=submit]");
  if (icon instanceof HTMLImageElement && button instanceof HTMLInputElement)
    icon.alt = button.value;
});
