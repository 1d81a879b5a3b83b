import type { Pipeline } from '@star-webgpu/sampler';
import { drawScales } from './draw.ts';
import { failureOf } from './failures.ts';
import { openAdapter, openModel } from './open.ts';
import type { ModelFolder, Order, Redrawing, WordMap } from './painter.ts';
import type { Command, Report } from './protocol.ts';

const report = (message: Report): void => self.postMessage(message);

let pipeline: Promise<Pipeline> | undefined;
let drawing: AbortController | undefined;

async function open(folder: ModelFolder | undefined): Promise<Pipeline> {
  const adapter = await openAdapter();
  const { model, opened } = await openModel(folder, (loading) => report({ kind: 'loading', ...loading }));
  report({ kind: 'ready', adapter, model });
  return opened;
}

async function draw(order: Order, redrawing: Redrawing | undefined): Promise<void> {
  drawing = new AbortController();
  const { signal } = drawing;
  try {
    const words: WordMap[] = [];
    for await (const { drawn, maps } of drawScales(await pipeline!, { order, redrawing }, signal)) {
      self.postMessage({ kind: 'scale', ...drawn } satisfies Report, { transfer: [drawn.pixels.data.buffer] });
      words.push(...maps);
      if (signal.aborted) break;
    }
    report(signal.aborted ? { kind: 'cancelled' } : { kind: 'finished', words });
  } catch (error) {
    if (!signal.aborted) throw error;
    report({ kind: 'cancelled' });
  } finally {
    drawing = undefined;
  }
}

async function obey(command: Command): Promise<void> {
  if (command.kind === 'cancel') return drawing?.abort();
  if (command.kind === 'draw') return draw(command.order, command.redrawing);
  pipeline ??= open(command.folder);
  await pipeline;
}

self.onmessage = ({ data }: MessageEvent<Command>): void => {
  obey(data).catch((error: unknown) => report({ kind: 'failed', ...failureOf(error) }));
};
