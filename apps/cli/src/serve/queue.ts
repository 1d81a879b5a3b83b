/** A queue that takes no more. */
export class QueueFullError extends Error {
  constructor(limit: number) {
    super(`The queue must have room, got ${limit} requests waiting. Try again later.`);
    this.name = 'QueueFullError';
  }
}

interface Waiting {
  readonly start: () => void;
  readonly onPlace: ((before: number) => void) | undefined;
}

export interface TurnOptions {
  /** Gives the place up while waiting. */
  readonly signal: AbortSignal;
  /** How many are before this one, the one at work included: at once, and whenever it changes. */
  readonly onPlace?: (before: number) => void;
}

/** One piece of work at a time, in the order of asking, with a limit to those that wait. */
export class WorkQueue {
  private readonly limit: number;
  private readonly line: Waiting[] = [];
  private working = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  get waiting(): number {
    return this.line.length;
  }

  get busy(): boolean {
    return this.working;
  }

  /** @throws QueueFullError where a newcomer would find no place */
  checkRoom(): void {
    if (this.working && this.line.length >= this.limit) throw new QueueFullError(this.limit);
  }

  /** Runs work once all before it is done. @throws QueueFullError at once, or the signal's reason */
  async run<Result>(work: () => Promise<Result>, options: TurnOptions): Promise<Result> {
    await this.turn(options);
    try {
      options.signal.throwIfAborted();
      return await work();
    } finally {
      this.working = false;
      this.line.shift()?.start();
      this.tellPlaces();
    }
  }

  private async turn({ signal, onPlace }: TurnOptions): Promise<void> {
    signal.throwIfAborted();
    this.checkRoom();
    if (this.working) await this.wait(signal, onPlace);
    this.working = true;
  }

  private wait(signal: AbortSignal, onPlace: TurnOptions['onPlace']): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const place = this.line.indexOf(waiting);
        if (place >= 0) this.line.splice(place, 1);
        this.tellPlaces();
        reject(signal.reason as Error);
      };
      const start = (): void => {
        signal.removeEventListener('abort', leave);
        // Taken at once, so that a newcomer does not slip in between.
        this.working = true;
        resolve();
      };
      const waiting = { start, onPlace };
      signal.addEventListener('abort', leave, { once: true });
      this.line.push(waiting);
      onPlace?.(this.line.length);
    });
  }

  private tellPlaces(): void {
    for (const [i, { onPlace }] of this.line.entries()) onPlace?.(i + 1);
  }
}
