import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { SamplingDefaults } from '@star-webgpu/sampler';
import { type DrawnScale, type Loading, type Order, type Painter, PainterError, type Ready } from './painter.ts';
import { pixelsOfPng } from './pixels-of-png.ts';
import { changedOptions, settingsOf } from './settings.ts';

/** What `star serve` says of its model. */
interface ServedModel {
  readonly name: string;
  readonly adapter: string;
  readonly scales: readonly number[];
  readonly refiner: boolean;
  readonly defaults: SamplingDefaults;
}

/** The events of a drawing that matter to one picture. */
interface ServedScale {
  readonly scale: number;
  readonly milliseconds: number;
  readonly pictures: readonly [string];
}

/** Codebooks of the published models; the server does not say how large its own is, and more tokens than there are are all. */
const publishedCodes = 4096;

/** Draws at the `star serve` that the page came from. It redraws no parts and tells nothing of words. */
export class ServerPainter implements Painter {
  private readonly api: string;
  private defaults: SamplingDefaults = {};
  private drawing: AbortController | undefined;

  constructor(api: string) {
    this.api = api;
  }

  async open(onLoading: (loading: Loading) => void): Promise<Ready> {
    onLoading({ loaded: 0, total: 0 });
    const { name, adapter, scales, refiner, defaults } = (await (await this.ask('model')).json()) as ServedModel;
    this.defaults = defaults;
    const model = {
      name,
      place: 'server',
      sides: scales,
      codebookSize: publishedCodes,
      hasRefiner: refiner,
      redraws: false,
    } as const;
    return { adapter: `${adapter}, at the server`, model: { ...model, settings: settingsOf(defaults) } };
  }

  async draw({ prompt, seed, ...settings }: Order, onScale: (scale: DrawnScale) => void): Promise<boolean> {
    this.drawing = new AbortController();
    const { signal } = this.drawing;
    const body = JSON.stringify({ prompt, seed, stream: true, ...changedOptions(settings, this.defaults) });
    const headers = { 'content-type': 'application/json' };
    try {
      const answer = await this.ask('images', { method: 'POST', headers, body, signal });
      for await (const { event, data } of eventsOf(answer.body!)) await this.hear(event, data, onScale);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    }
  }

  cancel(): void {
    this.drawing?.abort();
  }

  close(): void {
    this.cancel();
  }

  private async hear(event: string | undefined, data: string, onScale: (scale: DrawnScale) => void): Promise<void> {
    if (event === 'failed') throw new PainterError('drawing', (JSON.parse(data) as { error: string }).error);
    if (event !== 'scale') return;
    const { scale, milliseconds, pictures } = JSON.parse(data) as ServedScale;
    onScale({ scale, milliseconds, pixels: await pixelsOfPng(pictures[0]), words: [] });
  }

  private async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = await fetch(this.api + path, init);
    if (answer.ok) return answer;
    const { error } = (await answer.json()) as { error: string };
    throw new PainterError('server', `${answer.status}: ${error}`);
  }
}

interface ServerEvent {
  readonly event?: string | undefined;
  readonly data: string;
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const text = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
  const reader = body.pipeThrough(text).pipeThrough(new EventSourceParserStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
