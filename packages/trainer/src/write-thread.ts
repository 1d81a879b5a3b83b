import { Worker } from 'node:worker_threads';

/** What the thread answers: the digest of a file, or why it could not be written. */
interface Answer {
  readonly id: number;
  readonly digest?: string;
  readonly fault?: string;
}

interface Waiting {
  readonly resolve: (digest: string) => void;
  readonly reject: (error: Error) => void;
}

/** A thread that writes files through to the disk and takes their digests; it is started by the first file. */
export class WriteThread {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;

  /** Writes a file of pieces, whose memory is given away. Resolves to its SHA-256. */
  write(path: string, pieces: readonly Uint8Array[]): Promise<string> {
    const worker = (this.worker ??= this.start());
    const memory = new Set(pieces.map(({ buffer }) => buffer as ArrayBuffer));
    const id = this.count++;
    worker.ref();
    worker.postMessage({ id, path, pieces }, [...memory]);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.worker?.terminate();
    this.worker = undefined;
  }

  private start(): Worker {
    const worker = new Worker(new URL('./write-worker.js', import.meta.url));
    worker.on('message', (answer: Answer) => this.settle(answer));
    worker.on('error', ({ message }) => {
      for (const id of this.waiting.keys()) this.settle({ id, fault: message });
      this.worker = undefined;
    });
    return worker;
  }

  private settle({ id, digest, fault }: Answer): void {
    const { resolve, reject } = this.waiting.get(id)!;
    this.waiting.delete(id);
    // A thread with nothing to do keeps no process from its end.
    if (!this.waiting.size) this.worker?.unref();
    if (digest === undefined) reject(new Error(fault));
    else resolve(digest);
  }
}
