/** Gives a role to the search icons of Django's SelectFilter2, which have an aria-label but no role. They exist when the page has loaded. */

addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".search-label-icon")) icon.role = "img";
});
