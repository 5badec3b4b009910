/** Shows the reactions of a message as buttons below its text, named by emoji and count. */

import { showName } from "../dom/templates.js";
import { reactedWords } from "../model/answer_words.js";
import { gettext } from "../model/language.js";

/** @import {Reaction} from "../model/reactions.js" */

/** `toggle`: give the emoji, or take it back. @typedef {{me: number, isArchived: boolean, toggle: (emoji: string, on: boolean) => void}} ReactionActions */

/**
 * Buttons that are there keep their place and focus.
 * @param {HTMLElement} element of the message
 * @param {(Reaction & {isPending: boolean})[]} reactions
 * @param {ReactionActions} actions
 */
export function showReactions(element, reactions, actions) {
  const box = element.querySelector(".reactions");
  if (!reactions.length) {
    if (box?.contains(document.activeElement)) leave(element);
    return box?.remove();
  }
  const group = box ?? element.querySelector(".lines")?.appendChild(newGroup());
  const known = new Map(
    [...(group?.children ?? [])].map((child) => [child.getAttribute("data-emoji"), child]),
  );
  for (const [emoji, child] of known) {
    if (reactions.some((each) => each.emoji === emoji)) continue;
    if (child === document.activeElement) leave(element);
    child.remove();
  }
  for (const reaction of reactions) {
    const button = known.get(reaction.emoji) ?? newButton(element, reaction.emoji, actions);
    fill(/** @type {HTMLButtonElement} */ (button), reaction, actions);
    if (!button.isConnected) group?.append(button);
  }
}

function newGroup() {
  const group = document.createElement("div");
  group.className = "reactions";
  group.role = "group";
  group.ariaLabel = gettext("Reactions");
  return group;
}

/** @param {HTMLElement} element @param {string} emoji @param {ReactionActions} actions */
function newButton(element, emoji, { toggle }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reaction";
  button.dataset.emoji = emoji;
  // A log is one Tab stop: log/keyboard.js puts the buttons of the focused message into the order.
  button.tabIndex = element.contains(document.activeElement) ? 0 : -1;
  button.addEventListener("click", () => {
    if (button.ariaDisabled !== "true") toggle(emoji, button.ariaPressed !== "true");
  });
  return button;
}

/** @param {HTMLButtonElement} button @param {Reaction & {isPending: boolean}} reaction @param {ReactionActions} actions */
function fill(button, reaction, { me, isArchived }) {
  const name = `${reaction.emoji} ${reaction.count}`;
  if (button.textContent !== name) button.textContent = name;
  button.ariaPressed = String(reaction.own);
  button.ariaDisabled = isArchived ? "true" : null;
  showName(button, () => {
    button.title = reactedWords(reaction, me);
  });
  button.classList.toggle("pending", reaction.isPending);
}

/** The button with the focus goes. The log does nothing on a key that is pressed next. @param {HTMLElement} element */
function leave(element) {
  const log = element.closest("message-list");
  if (log instanceof HTMLElement) log.focus({ preventScroll: true });
}
