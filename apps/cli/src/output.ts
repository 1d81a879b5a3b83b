import type { Writable } from 'node:stream';

/** Writes a line for the person at the terminal; results go to stdout, this goes beside them. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Writes a result. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Seconds as people say them: 42 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const shortened = (text: string, columns: number): string =>
  text.length > columns ? `${text.slice(0, columns - 1)}…` : text;

/** One line that is written over on a terminal, and now and then elsewhere. */
export class Progress {
  private readonly stream: Writable & { isTTY?: boolean; columns?: number };
  private shownAt = -Infinity;

  constructor(stream: Writable & { isTTY?: boolean; columns?: number } = process.stderr) {
    this.stream = stream;
  }

  /** Shows a text, at most four times a second on a terminal and every ten seconds in a log. */
  show(text: string, always = false): void {
    const now = performance.now();
    if (!always && now - this.shownAt < (this.stream.isTTY ? 250 : 10_000)) return;
    this.shownAt = now;
    this.stream.write(this.stream.isTTY ? `\r\u001b[2K${shortened(text, this.columns)}` : `${text}\n`);
  }

  /** Room for a text: a terminal's columns, less one for the cursor. */
  get columns(): number {
    return this.stream.isTTY && this.stream.columns ? this.stream.columns - 1 : Infinity;
  }

  /** Writes a line that stays; the next text comes below it. */
  note(text: string): void {
    this.stream.write(this.stream.isTTY ? `\r\u001b[2K${text}\n` : `${text}\n`);
  }

  /** Ends the line. */
  end(): void {
    if (this.stream.isTTY) this.stream.write('\n');
  }
}

/** Shows how far a count is by a text, and how long the rest takes; the line ends with the last. */
export function countdown(total: number, textOf: (done: number) => string): (done: number) => void {
  const [progress, started] = [new Progress(), performance.now()];
  return (done) => {
    const left = ((performance.now() - started) / 1000 / done) * (total - done);
    progress.show(`${textOf(done)}, ${duration(left)} left`, done === total);
    if (done === total) progress.end();
  };
}

/** What a command drew, and how long that took. */
interface DrawnFiles {
  readonly adapter: string;
  readonly files: readonly string[];
  readonly pictures: number;
  /** By `performance.now()`. */
  readonly started: number;
}

/** Prints the files of a command that draws, for people or for machines. */
export function printDrawn({ adapter, files, pictures, started }: DrawnFiles, json = false): void {
  const seconds = (performance.now() - started) / 1000;
  print(json ? JSON.stringify({ adapter, seconds, files }) : files.join('\n'));
  say(`${pictures} ${pictures === 1 ? 'picture' : 'pictures'} in ${seconds.toFixed(1)} s`);
}

/** Aborted by Ctrl-C and by termination; a second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      say('\nstopping behind the running step; press Ctrl-C again to stop at once');
      controller.abort();
    });
  }
  return controller.signal;
}

/** Bytes as people say them: 12 B, 3.4 kB, 436 MB, 6.72 GB. */
export function byteSize(bytes: number): string {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power ? Number(value.toPrecision(3)) : value} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** Bytes in gigabytes, to compare. */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
