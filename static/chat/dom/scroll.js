/** A log's scroll position: at the bottom it follows new messages, elsewhere nothing moves. */

/** At most this far from the bottom, which is less than a line, the log follows. */
const BOTTOM_PX = 16;
/** At most this far from an end, what is beyond it is loaded. */
const EDGE_PX = 240;

export class Scroll {
  #box;
  #onscroll;
  #firstInView;
  #isAtHead;
  #onmoved;
  #isDue = false;
  /** The box's geometry when `#recordPosition` last ran. */
  #top = 0;
  #height = 0;
  #scrollHeight = 0;
  /** The width at the last resize: 0 while the box is not shown. */
  #width = 0;
  /** The message that a reader above the bottom is at, and its distance from the top edge. @type {{element: Element, offset: number} | null} */
  #anchor = null;
  /** Whether the reader is at the bottom. Updated on scrolling only, because measuring at each added message would force a layout. */
  isAtBottom = true;

  /**
   * @param {HTMLElement} box the element that scrolls
   * @param {HTMLElement} content the element inside that grows
   * @param {() => void} onscroll
   * @param {{firstInView: () => Element | undefined, isAtHead: () => boolean, onmoved: () => void}} log `onmoved`: the reader scrolled; `isAtHead`: nothing newer is to be loaded, so there is a bottom to follow
   */
  constructor(box, content, onscroll, { firstInView, isAtHead, onmoved }) {
    this.#onmoved = onmoved;
    this.#box = box;
    this.#onscroll = onscroll;
    this.#firstInView = firstInView;
    this.#isAtHead = isAtHead;
    box.addEventListener(
      "scroll",
      () => {
        this.#scrolled();
        onscroll();
      },
      { passive: true },
    );
    // Stay at the bottom when the composer grows, the window changes, or a long message is unfolded.
    const observer = new ResizeObserver(() => this.#resized());
    observer.observe(box);
    observer.observe(content);
  }

  get isNearTop() {
    // A box that is not shown has no scroll position, and would load its whole log.
    return this.#box.clientHeight > 0 && this.#box.scrollTop < EDGE_PX;
  }

  get isNearEnd() {
    return this.#box.clientHeight > 0 && this.#below < EDGE_PX;
  }

  /** How many pixels are below the view. */
  get #below() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
  }

  /** Follow from now on if the box is at the bottom. */
  updateAtBottom() {
    if (this.#box.clientHeight > 0 && this.#isAtHead() && this.#below < BOTTOM_PX)
      this.isAtBottom = true;
  }

  /** Stay at the bottom after something was added there: once per frame, however much was added. */
  followBottom() {
    if (!this.isAtBottom || this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (this.isAtBottom) this.scrollToBottom();
    });
  }

  scrollToBottom() {
    this.isAtBottom = this.#isAtHead();
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#recordPosition();
  }

  /** Scroll away from the bottom, unless this ends there. @param {number} px */
  scrollBy(px) {
    const box = this.#box;
    box.scrollTop += px;
    this.isAtBottom = false;
    this.updateAtBottom();
    this.#recordPosition();
  }

  /**
   * Change what is above or inside the view without moving what is being read.
   * (The browser's own scroll anchoring does nothing at the very top, so it is switched off.)
   * @param {Element | undefined} anchor the first element in view
   * @param {() => void} change
   */
  keepStill(anchor, change) {
    if (this.isAtBottom || anchor === undefined) {
      change();
      return this.followBottom();
    }
    const before = anchor.getBoundingClientRect().top;
    change();
    if (anchor.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
    this.#top = this.#box.scrollTop; // so that this does not count as a move by the reader
  }

  /**
   * Only a reader who scrolls up leaves the bottom. A scroll event may also come late, after more was added below,
   * or without the reader, because the box grew or its content shrank.
   */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight, clientWidth } = this.#box;
    if (clientWidth !== this.#width) return; // #resized() is about to run and corrects the position
    const isPushed = clientHeight > this.#height || scrollHeight < this.#scrollHeight;
    if (scrollTop < this.#top && !isPushed) this.isAtBottom = false;
    if (scrollTop !== this.#top && !isPushed) this.#onmoved();
    this.updateAtBottom();
    this.#recordPosition();
  }

  #recordPosition() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    this.#top = scrollTop;
    this.#height = clientHeight;
    this.#scrollHeight = scrollHeight;
    this.#anchor = this.isAtBottom ? null : this.#anchorAt(this.#firstInView());
  }

  /**
   * Choose the anchor. In a message that begins above the view, the line being read is unknown, so the next message is used.
   * @param {Element | null | undefined} element
   * @returns {{element: Element, offset: number} | null}
   */
  #anchorAt(element) {
    if (!element) return null;
    let next = element.nextElementSibling;
    // A sticky day at the top does not show where it belongs in the log.
    if (next?.matches(".day")) next = next.nextElementSibling;
    const isCut = this.#offsetOf(element) < 0;
    const anchor = isCut && next && this.#offsetOf(next) < this.#height ? next : element;
    return { element: anchor, offset: this.#offsetOf(anchor) };
  }

  /** @param {Element} element */
  #offsetOf(element) {
    return element.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
  }

  /** With another width, every line above has another height. A box that was not shown begins at its top. */
  #resized() {
    const isMoved = this.#box.clientWidth !== this.#width;
    this.#width = this.#box.clientWidth;
    if (this.#width === 0) return;
    if (isMoved && this.#anchor?.element.isConnected)
      this.#box.scrollTop += this.#offsetOf(this.#anchor.element) - this.#anchor.offset;
    // Messages that got higher, or a box that grew, move a following box up, and the scroll event for that comes later.
    // By then the log may have grown beyond its old height, or the box may have shrunk again, so that the event would
    // look like a move by the reader.
    if (isMoved || this.isAtBottom) this.#recordPosition();
    this.followBottom();
    if (isMoved) this.#onscroll();
  }
}
