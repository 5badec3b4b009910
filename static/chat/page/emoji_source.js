/** Lets the user choose an emoji. The picker and its data are loaded when they are first used. */

import { LazyPart } from "../dom/lazy_part.js";

/** @import {EmojiPicker} from "../lazy/emoji_picker.js" */
/** @import {Emoji} from "../model/emoji.js" */
/** @import {Preferences} from "../model/preferences.js" */

export class EmojiSource {
  /** @type {LazyPart<EmojiPicker>} */
  #picker;

  /** @param {string} url of the data @param {Preferences} preferences */
  constructor(url, preferences) {
    this.#picker = new LazyPart(async () => {
      const [{ addPicker }, answer] = await Promise.all([import("lazy/emoji_picker"), fetch(url)]);
      return await addPicker(answer, preferences);
    });
  }

  /**
   * Open the picker at a button. Closing it gives the focus back, unless the user has clicked elsewhere.
   * @param {HTMLElement} anchor
   * @returns {Promise<string | null>} null: closed without choosing, or the user did something else while it was loaded
   * @throws {Error} it could not be loaded
   */
  async choose(anchor) {
    const picker = await this.#picker.loadForUser();
    return picker && anchor.isConnected ? await picker.choose(anchor) : null;
  }

  /** Emoji whose names begin with a text, those used last first. @param {string} text @param {number} most @returns {Promise<Emoji[]>} */
  async search(text, most) {
    return (await this.#picker.load()).search(text, most);
  }
}
