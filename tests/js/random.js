/** Random numbers from 0 to 1, the same for each seed (Mulberry32). @param {number} seed */
function random(seed) {
  let state = seed + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Chances, drawn from a seed. */
export class Dice {
  /** @param {number} seed */
  constructor(seed) {
    this.chance = random(seed);
  }

  /** A whole number from 0 to below. @param {number} below */
  draw(below) {
    return Math.floor(this.chance() * below);
  }

  /** @template T @param {T[]} list */
  pick(list) {
    return list[this.draw(list.length)];
  }
}
