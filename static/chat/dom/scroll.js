/** A log's scroll position: at the bottom it follows, elsewhere nothing moves. */

/** Near enough to the bottom to follow: less than a line. */
const BOTTOM_PX = 16;
/** Near enough to an end to load what is beyond it. */
const EDGE_PX = 240;

export class Scroll {
  #box;
  #onscroll;
  #firstInView;
  #isAtHead;
  #onmoved;
  #isDue = false;
  /** As it was at the last look. */
  #top = 0;
  #height = 0;
  #scrollHeight = 0;
  /** The width that was last told of: 0 while the box is not shown. */
  #width = 0;
  /** What a reader up there reads, and how far below the edge it begins. @type {{element: Element, offset: number} | null} */
  #anchor = null;
  /** Whether the reader is at the bottom. Read on scrolling only: asking while things are added would force a layout each time. */
  isAtBottom = true;

  /**
   * @param {HTMLElement} box the element that scrolls
   * @param {HTMLElement} content what grows in it
   * @param {() => void} onscroll
   * @param {{firstInView: () => Element | undefined, isAtHead: () => boolean, onmoved: () => void}} log told when the reader moves; only where nothing newer is to be loaded there is something to follow
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
    // The composer grows, a window changes, a long text is unfolded: still at the bottom.
    const observer = new ResizeObserver(() => this.#resized());
    observer.observe(box);
    observer.observe(content);
  }

  get isNearTop() {
    // A box that is not shown has no place: it would load its whole log.
    return this.#box.clientHeight > 0 && this.#box.scrollTop < EDGE_PX;
  }

  get isNearEnd() {
    return this.#box.clientHeight > 0 && this.#below < EDGE_PX;
  }

  /** How much there is below the view. */
  get #below() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
  }

  /** There may be something to follow now. */
  updateAtBottom() {
    if (this.#box.clientHeight > 0 && this.#isAtHead() && this.#below < BOTTOM_PX)
      this.isAtBottom = true;
  }

  /** Stay at the bottom after something was added there: once per frame, however much came. */
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

  /** Go somewhere else than the bottom, unless that is where it ends. @param {number} px */
  scrollBy(px) {
    const box = this.#box;
    box.scrollTop += px;
    this.isAtBottom = false;
    this.updateAtBottom();
    this.#recordPosition();
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
      return this.followBottom();
    }
    const before = anchor.getBoundingClientRect().top;
    change();
    if (anchor.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
    this.#top = this.#box.scrollTop; // not the reader's own move
  }

  /**
   * Only who moves up leaves the bottom: this event may come after more was added below,
   * or because the box grew or its content shrank, and nobody moved at all.
   */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight, clientWidth } = this.#box;
    if (clientWidth !== this.#width) return; // about to be told: #resized() puts it right
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
   * Of a message that begins above the view, the line in view is not known: the next one counts.
   * @param {Element | null | undefined} element
   * @returns {{element: Element, offset: number} | null}
   */
  #anchorAt(element) {
    if (!element) return null;
    let next = element.nextElementSibling;
    // A day that stands at the top does not tell where it belongs.
    if (next?.matches(".day")) next = next.nextElementSibling;
    const isCut = this.#offsetOf(element) < 0;
    const counts = isCut && next && this.#offsetOf(next) < this.#height ? next : element;
    return { element: counts, offset: this.#offsetOf(counts) };
  }

  /** @param {Element} element */
  #offsetOf(element) {
    return element.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
  }

  /** In another width every line above is of another height; a box that was not shown begins at its top. */
  #resized() {
    const isMoved = this.#box.clientWidth !== this.#width;
    this.#width = this.#box.clientWidth;
    if (this.#width === 0) return;
    if (isMoved && this.#anchor?.element.isConnected)
      this.#box.scrollTop += this.#offsetOf(this.#anchor.element) - this.#anchor.offset;
    // Lines that got longer push a follower up, and are told of by a scroll event that comes after this:
    // by then the log may have grown beyond what it was, and it would look like the reader's own move.
    if (isMoved) this.#recordPosition();
    this.followBottom();
    if (isMoved) this.#onscroll();
  }
}
