/** Lets the user choose an emoji. The picker and its data are loaded when they are first used. */

import { LazyPart } from "../dom/lazy_part.js";
import { withRecent } from "../model/emoji.js";

/** @import {EmojiPicker} from "../lazy/emoji_picker.js" */
/** @import {Emoji, EmojiData} from "../model/emoji.js" */
/** @import {Preferences} from "../model/preferences.js" */

export class EmojiSource {
  #url;
  #preferences;
  /** @type {LazyPart<{picker: EmojiPicker, data: EmojiData}>} */
  #part = new LazyPart(() => this.#load());

  /** @param {string} url of the data @param {Preferences} preferences */
  constructor(url, preferences) {
    this.#url = url;
    this.#preferences = preferences;
  }

  /**
   * Open the picker at a button. Closing it gives the focus back, unless the user has clicked elsewhere.
   * @param {HTMLElement} anchor
   * @returns {Promise<string | null>} null: closed without choosing, or the user did something else while it was loaded
   * @throws {Error} it could not be loaded
   */
  async choose(anchor) {
    const loaded = await this.#part.loadForUser();
    if (!loaded || !anchor.isConnected) return null;
    const { picker } = loaded;
    return await new Promise((resolve) => {
      const chosen = (/** @type {Event} */ event) => {
        const { detail } = /** @type {CustomEvent<string>} */ (event);
        this.#preferences.set(
          "recentEmoji",
          withRecent(this.#preferences.get("recentEmoji"), detail),
        );
        resolve(detail);
      };
      picker.addEventListener("emoji-chosen", chosen, { once: true });
      const closed = () => {
        picker.removeEventListener("emoji-chosen", chosen);
        resolve(null);
      };
      picker.open(anchor, this.#preferences.get("recentEmoji"));
      picker.addEventListener("emoji-closed", closed, { once: true });
    });
  }

  /** Emoji whose names begin with a text, those used last first. @param {string} text @param {number} most @returns {Promise<Emoji[]>} */
  async search(text, most) {
    const { data } = await this.#part.load();
    const found = data.search(text, most * 4);
    const recent = this.#preferences.get("recentEmoji");
    const isRecent = (/** @type {Emoji} */ { emoji }) => recent.includes(emoji);
    return [...found.filter(isRecent), ...found.filter((item) => !isRecent(item))].slice(0, most);
  }

  async #load() {
    const [{ EmojiPicker, EmojiData }, answer] = await Promise.all([
      import("lazy/emoji_picker"),
      fetch(this.#url),
    ]);
    if (!answer.ok) throw new Error(`${this.#url} ${answer.status}`);
    const data = new EmojiData(await answer.json());
    customElements.define("emoji-picker", EmojiPicker);
    const picker = new EmojiPicker();
    picker.configure(data);
    document.body.append(picker);
    return { picker, data };
  }
}
