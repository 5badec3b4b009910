/** On My account: a picture is uploaded when it is chosen, and shown. */

import { ownHeaders } from "./dom/ask.js";
import { gettext } from "./model/language.js";

const form = document.querySelector("form[data-upload]");
const file = document.getElementById("id_picture");
if (form instanceof HTMLFormElement && file instanceof HTMLInputElement) {
  // Without this script there is no way to choose one. The label is the button, which the keyboard reaches too.
  const label = form.querySelector("label");
  if (label) label.hidden = false;
  file.hidden = false;
  file.addEventListener("change", () => upload(form, file));
}

/** @param {HTMLFormElement} form @param {HTMLInputElement} input */
async function upload(form, input) {
  const [chosen] = input.files ?? [];
  const status = form.querySelector("[role=status]");
  const image = form.querySelector("img");
  const remove = form.querySelector("button");
  if (!chosen || !status || !image || !remove) return;
  status.textContent = gettext("Uploading…");
  const headers = { ...ownHeaders(), "Content-Type": "application/octet-stream" };
  try {
    const answer = await fetch(form.dataset.upload ?? "", {
      method: "POST",
      headers,
      body: chosen,
    });
    const { picture, detail } = await answer.json();
    status.textContent = answer.ok ? gettext("This is your picture now.") : detail;
    if (!answer.ok) return;
    image.src = picture;
    image.alt = gettext("Your picture");
    image.hidden = remove.hidden = false;
  } catch {
    status.textContent = gettext("The upload didn't work. Try again.");
  } finally {
    input.value = "";
  }
}
