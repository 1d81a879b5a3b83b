import { resolveObjectURL } from 'node:buffer';
import { availableParallelism } from 'node:os';
import { Worker as NodeWorker } from 'node:worker_threads';

/** Gives the process what the peers expect of a browser: navigator with our GPU, Web Workers, and the iterator methods that Node 20 lacks. */
export function installBrowserGlobals(gpu: GPU): void {
  const navigator = { gpu, userAgent: 'node', hardwareConcurrency: availableParallelism() };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  Object.assign(globalThis, { Worker: WebWorker });
  installIteratorMethods();
}

const prologue = `
  const { parentPort } = require('node:worker_threads');
  globalThis.self = globalThis;
  globalThis.postMessage = (data) => parentPort.postMessage(data);
  parentPort.on('message', (data) => self.onmessage({ data }));
`;

/** A Web Worker over a thread of Node, as far as a script of its own in a blob needs one: jax-js spreads its WebAssembly kernels over such workers. */
class WebWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onerror: ((error: Error) => void) | null = null;
  private readonly started: Promise<NodeWorker>;

  constructor(url: string) {
    this.started = this.start(url);
  }

  postMessage(data: unknown): void {
    void this.started.then((worker) => worker.postMessage(data));
  }

  private async start(url: string): Promise<NodeWorker> {
    const source = await resolveObjectURL(url)!.text();
    const worker = new NodeWorker(prologue + source, { eval: true });
    worker.on('message', (data) => this.onmessage?.({ data }));
    worker.on('error', (error) => this.onerror?.(error));
    return worker;
  }
}

type Mapper = (value: unknown, index: number) => unknown;

/** Methods of every iterator that the peers call (Node has them from 22 on). */
const iteratorMethods = {
  *map(this: Iterable<unknown>, mapper: Mapper): Generator<unknown> {
    let index = 0;
    for (const value of this) yield mapper(value, index++);
  },
  *filter(this: Iterable<unknown>, keep: Mapper): Generator<unknown> {
    let index = 0;
    for (const value of this) if (keep(value, index++)) yield value;
  },
  toArray(this: Iterable<unknown>): unknown[] {
    return [...this];
  },
  some(this: Iterable<unknown>, test: Mapper): boolean {
    return [...this].some((value, index) => test(value, index));
  },
  every(this: Iterable<unknown>, test: Mapper): boolean {
    return [...this].every((value, index) => test(value, index));
  },
};

function installIteratorMethods(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object;
  for (const [name, method] of Object.entries(iteratorMethods))
    if (!(name in prototype)) Object.defineProperty(prototype, name, { value: method, configurable: true });
}
