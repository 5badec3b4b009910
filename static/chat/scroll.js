/** A log's scroll position: at the bottom it follows, elsewhere nothing moves. */

/** Near enough to the bottom to follow: less than a line. */
const BOTTOM_PX = 16;
const TOP_PX = 240;

export class Scroll {
  #box;
  #isDue = false;
  #top = 0;
  /** Whether the reader is at the bottom. Read on scrolling only: asking while things are added would force a layout each time. */
  isAtBottom = true;

  /**
   * @param {HTMLElement} box the element that scrolls
   * @param {HTMLElement} content what grows in it
   * @param {() => void} onscroll
   */
  constructor(box, content, onscroll) {
    this.#box = box;
    box.addEventListener(
      "scroll",
      () => {
        this.#scrolled();
        onscroll();
      },
      { passive: true },
    );
    // The composer grows, a window changes, a long text is unfolded: still at the bottom.
    const observer = new ResizeObserver(() => this.follow());
    observer.observe(box);
    observer.observe(content);
  }

  get isNearTop() {
    return this.#box.scrollTop < TOP_PX;
  }

  /** Stay at the bottom after something was added there: once per frame, however much came. */
  follow() {
    if (!this.isAtBottom || this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (this.isAtBottom) this.toBottom();
    });
  }

  toBottom() {
    this.isAtBottom = true;
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  /**
   * Change what is above or inside the view without moving what is being read.
   * (The browser's own anchoring does nothing at the very top, so it is off and this is all.)
   * @param {Element | undefined} anchor the first element in view
   * @param {() => void} change
   */
  keepStill(anchor, change) {
    if (this.isAtBottom || anchor === undefined) {
      change();
      return this.follow();
    }
    const before = anchor.getBoundingClientRect().top;
    change();
    if (anchor.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  /** Only who moves up leaves the bottom: this event may come after more was added below. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    if (scrollHeight - scrollTop - clientHeight < BOTTOM_PX) this.isAtBottom = true;
    else if (scrollTop < this.#top) this.isAtBottom = false;
    this.#top = scrollTop;
  }
}
