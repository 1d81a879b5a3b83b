/** A running mean of the time a step takes. The first, which also compiles, counts only until there is another. */
export class Pace {
  private last = performance.now();
  private steps = 0;
  /** Seconds a step. */
  seconds = 0;

  /** Notes the end of a step. Returns images per second. */
  tick(images: number): number {
    const now = performance.now();
    const taken = (now - this.last) / 1000;
    this.last = now;
    const kept = this.steps < 2 ? 0 : Math.min(0.95, 1 - 1 / this.steps);
    this.seconds = kept * this.seconds + (1 - kept) * taken;
    this.steps++;
    return images / this.seconds;
  }
}
