/** A running mean of the time a step takes. */
export class Pace {
  private last = performance.now();
  /** Seconds a step. */
  seconds = 0;

  /** Notes the end of a step. Returns images per second. */
  tick(images: number): number {
    const now = performance.now();
    const taken = (now - this.last) / 1000;
    this.last = now;
    this.seconds = this.seconds ? 0.95 * this.seconds + 0.05 * taken : taken;
    return images / this.seconds;
  }
}
