import type { Pipeline } from '@star-webgpu/sampler';
import { drawScales } from './draw.ts';
import { failureOf } from './failures.ts';
import { openAdapter, openModel } from './open.ts';
import type { ModelFolder, Order, Redrawing } from './painter.ts';
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
    for await (const scale of drawScales(await pipeline!, { order, redrawing }, signal)) {
      const moved = [scale.pixels.data.buffer, ...scale.words.map(({ shares }) => shares.buffer)];
      self.postMessage({ kind: 'scale', ...scale } satisfies Report, { transfer: moved });
      if (signal.aborted) break;
    }
    report({ kind: signal.aborted ? 'cancelled' : 'finished' });
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
