/** A long press on a message opens its menu, as the button "More about this message" does. For fingers alone. */

import { part } from "../dom/templates.js";

const LONG_MS = 500;
/** A finger that moves farther scrolls. */
const MOVED_PX = 10;
/** What has a long press of its own, or is pressed for something else. */
const OWN = "a, button, pre, input, textarea";

/** @param {HTMLElement} root */
export function followLongPress(root) {
  /** @type {{element: HTMLElement, x: number, y: number, timer: ReturnType<typeof setTimeout>, isLong: boolean} | null} */
  let press = null;
  const end = () => {
    clearTimeout(press?.timer);
    press = null;
  };
  const open = () => {
    if (!press || press.isLong) return;
    press.isLong = true;
    openMenu(press.element);
  };
  root.addEventListener("pointerdown", (event) => {
    end();
    const element = messageOf(event.target);
    if (event.pointerType !== "touch" || !event.isPrimary || !element) return;
    const timer = setTimeout(open, LONG_MS);
    press = { element, x: event.clientX, y: event.clientY, timer, isLong: false };
  });
  root.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (press && Math.hypot(clientX - press.x, clientY - press.y) > MOVED_PX && !press.isLong)
      end();
  });
  root.addEventListener("pointercancel", () => press?.isLong || end());
  root.addEventListener("pointerup", () => {
    const pressed = press?.isLong ? press.element : null;
    end();
    // Lifting the finger counts as a press outside the menu and closes it, as it was not there when the finger came down.
    if (pressed) setTimeout(() => isOpen() || openMenu(pressed));
  });
  // The browser's own menu, which has the same gesture, and may come before the timer.
  root.addEventListener("contextmenu", (event) => {
    const isTouch = /** @type {PointerEvent} */ (event).pointerType === "touch";
    const element = messageOf(event.target);
    if (!isTouch || !element) return;
    event.preventDefault();
    if (press) open();
    else if (!isOpen()) openMenu(element);
  });
}

/** @param {EventTarget | null} target @returns {HTMLElement | null} */
function messageOf(target) {
  if (!(target instanceof Element) || target.closest(OWN)) return null;
  return target.closest("[data-part=messages] .message:not(.deleted)");
}

/** @param {HTMLElement} element */
function openMenu(element) {
  part(element, "act").click();
}

/** The page's menu; the state of its button is updated later. */
function isOpen() {
  return document.querySelector('[data-part="menu"]:popover-open') !== null;
}
