/** Mean of a metric over the steps since the last checkpoint, by which the best checkpoint is known. */
export class Score {
  private readonly metric: string;
  private sum = 0;
  private count = 0;

  constructor(metric: string) {
    this.metric = metric;
  }

  /** Takes the numbers of a step; those without the metric do not count. */
  note(numbers: Readonly<Record<string, number>>): void {
    const value = numbers[this.metric];
    if (value === undefined || !Number.isFinite(value)) return;
    this.sum += value;
    this.count++;
  }

  /** The mean, from which on a new one begins; undefined if no step had the metric. */
  take(): number | undefined {
    const mean = this.count ? this.sum / this.count : undefined;
    this.sum = this.count = 0;
    return mean;
  }
}
