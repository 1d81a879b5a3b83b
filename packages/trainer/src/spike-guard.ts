/** How a run that diverges is told, and how often it may begin again. */
export interface SpikeGuardOptions {
  /** A loss this many deviations above the running median is a spike, and so is one that is not finite. */
  readonly factor: number;
  /** Spikes in a row that make the run go back. */
  readonly patience: number;
  /** Losses that median and deviation are of; half as many are wanted before anything is a spike. */
  readonly window: number;
  /** Times that a run may go back. */
  readonly rollbacks: number;
}

/** What a guard has seen, to go on from. */
export interface SpikeGuardState {
  /** Newest losses that were no spikes, oldest first. */
  readonly losses: readonly number[];
  /** Spikes in a row up to now. */
  readonly streak: number;
}

/** A deviation is at least this share of the median, so that a flat stretch makes no spike of a wobble. */
const leastDeviation = 0.01;

/** Standard deviations of a normal law in its median absolute deviation. */
const deviationsInMedian = 1.4826;

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Tells losses that leave their course from ordinary ones, by the median of those before and their median absolute deviation. */
export class SpikeGuard {
  private readonly options: SpikeGuardOptions;
  private losses: number[] = [];
  /** Spikes in a row up to now. */
  streak = 0;

  constructor(options: SpikeGuardOptions) {
    this.options = options;
  }

  /** Largest loss that is no spike; infinite as long as too few are known. */
  get limit(): number {
    const { factor, window } = this.options;
    if (this.losses.length < window / 2) return Number.POSITIVE_INFINITY;
    const median = medianOf(this.losses);
    const deviation = deviationsInMedian * medianOf(this.losses.map((loss) => Math.abs(loss - median)));
    return median + factor * Math.max(deviation, leastDeviation * Math.abs(median));
  }

  /** Takes the loss of a step. True if the run has left its course and is to go back. */
  hasDiverged(loss: number): boolean {
    if (Number.isFinite(loss) && loss <= this.limit) {
      this.losses = [...this.losses, loss].slice(-this.options.window);
      this.streak = 0;
    } else this.streak++;
    return this.streak >= this.options.patience;
  }

  state(): SpikeGuardState {
    return { losses: this.losses, streak: this.streak };
  }

  load({ losses, streak }: SpikeGuardState): void {
    this.losses = [...losses];
    this.streak = streak;
  }
}
