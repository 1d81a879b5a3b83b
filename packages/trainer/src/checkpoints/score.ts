/** Mean of a metric over the steps since the last checkpoint, by which the best checkpoint is known. */
export class Score {
  private readonly metric: string;
  private sum = 0;
  private count = 0;
  private readonly names = new Set<string>();

  constructor(metric: string) {
    this.metric = metric;
  }

  /** Takes the numbers of a step; those without the metric do not count. */
  note(numbers: Readonly<Record<string, number>>): void {
    for (const name of Object.keys(numbers)) this.names.add(name);
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

  /** Says that no step had the metric so far, and what they had; undefined if one did, and before the first. */
  missing(): string | undefined {
    if (this.names.size === 0 || this.names.has(this.metric)) return undefined;
    return `best.metric must be a number that steps have, got ${this.metric}, so no checkpoint is the best so far; there are ${[...this.names].toSorted().join(', ')}`;
  }
}
