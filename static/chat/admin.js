/** Gives a role to what Django's admin draws with a name only. It is drawn when the page has loaded. */

addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".search-label-icon")) icon.role = "img";
});
