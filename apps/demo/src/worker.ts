import { loadPipeline, type Pipeline } from '@star-webgpu/sampler';
import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import { loadTuning } from '@star-webgpu/tensor-webgpu/browser';
import { drawScales } from './draw.ts';
import { fetchModel } from './model-files.ts';
import type { Command, FailureReason, Order, Report } from './protocol.ts';

const report = (message: Report): void => self.postMessage(message);

/** An error with the reason that the page explains. */
class Failure extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.reason = reason;
  }
}

async function openAdapter(): Promise<GPUAdapter> {
  if (!navigator.gpu) throw new Failure('no-webgpu', 'navigator.gpu is missing');
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Failure('no-adapter', 'requestAdapter gave none');
  return adapter;
}

async function open(): Promise<Pipeline> {
  const adapter = await openAdapter();
  const device = await createDevice(adapter);
  setDevice(device);
  await loadTuning(device);
  try {
    const files = await fetchModel((loading) => report({ kind: 'loading', ...loading }));
    const pipeline = await loadPipeline(async (path) => fileAt(files, path));
    const { vendor, architecture, description } = adapter.info;
    const named = description || `${vendor} ${architecture}`.trim() || 'unnamed GPU';
    report({ kind: 'ready', adapter: named, sides: pipeline.star.config.patchNumbers });
    return pipeline;
  } catch (error) {
    throw new Failure('model', error);
  }
}

function fileAt(files: ReadonlyMap<string, Uint8Array>, path: string): Uint8Array {
  const bytes = files.get(path);
  if (!bytes)
    throw new Error(`loadPipeline: ${path} must be among the model's files, got ${[...files.keys()].join(', ')}.`);
  return bytes;
}

let pipeline: Promise<Pipeline> | undefined;
let drawing: AbortController | undefined;

async function draw(order: Order): Promise<void> {
  drawing = new AbortController();
  const { signal } = drawing;
  try {
    for await (const scale of drawScales(await pipeline!, order, signal)) {
      self.postMessage({ kind: 'scale', ...scale } satisfies Report, { transfer: [scale.pixels.data.buffer] });
      if (signal.aborted) break;
    }
    report({ kind: signal.aborted ? 'cancelled' : 'finished' });
  } catch (error) {
    if (signal.aborted) report({ kind: 'cancelled' });
    else throw new Failure('drawing', error);
  } finally {
    drawing = undefined;
  }
}

async function obey(command: Command): Promise<void> {
  if (command.kind === 'cancel') return drawing?.abort();
  if (command.kind === 'draw') return draw(command.order);
  pipeline ??= open();
  await pipeline;
}

self.onmessage = ({ data }: MessageEvent<Command>): void => {
  obey(data).catch((error: unknown) =>
    report({
      kind: 'failed',
      reason: error instanceof Failure ? error.reason : 'drawing',
      message: error instanceof Error ? error.message : String(error),
    }),
  );
};
