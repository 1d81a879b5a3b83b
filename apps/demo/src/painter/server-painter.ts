import type { SamplingDefaults } from '@star-webgpu/sampler';
import { type DrawnScale, type Loading, type Order, type Painter, PainterError, type Ready } from './painter.ts';
import type { Progress, Redrawing, WordMap } from './painter.ts';
import { pixelsOfPng, pngOfPixels } from './png.ts';
import { askServer, eventsOf, type ServedModel, type ServerEvent } from './server-api.ts';
import { changedOptions, settingsOf } from './settings.ts';

/** The events of a drawing, as far as they matter to one picture. */
interface ServedScale {
  readonly scale: number;
  readonly milliseconds: number;
  readonly pictures: readonly [string];
}

interface ServedAttention {
  readonly attention: readonly [readonly ServedWord[]];
}

interface ServedWord {
  readonly word: string;
  readonly scales: readonly (Omit<WordMap, 'word' | 'shares'> & { readonly shares: readonly number[] })[];
}

/** Draws at the `star serve` that the page came from. */
export class ServerPainter implements Painter {
  private readonly api: string;
  private defaults: SamplingDefaults = {};
  private drawing: AbortController | undefined;

  constructor(api: string) {
    this.api = api;
  }

  async open(onLoading: (loading: Loading) => void): Promise<Ready> {
    onLoading({ loaded: 0, total: 0 });
    const answer = await askServer(`${this.api}model`);
    const { name, adapter, scales, codes, refiner, defaults } = (await answer.json()) as ServedModel;
    this.defaults = defaults;
    const facts = { name, place: 'server', sides: scales, codebookSize: codes, hasRefiner: refiner } as const;
    return { adapter: `the server’s ${adapter}`, model: { ...facts, settings: settingsOf(defaults) } };
  }

  async draw(order: Order, progress: Progress, redrawing?: Redrawing): Promise<readonly WordMap[] | undefined> {
    this.drawing = new AbortController();
    const { signal } = this.drawing;
    try {
      const { prompt, seed, ...settings } = order;
      const asked = { prompt, seed, stream: true, attention: true, ...changedOptions(settings, this.defaults) };
      const body = JSON.stringify({ ...asked, ...(redrawing && (await editOf(redrawing))) });
      const headers = { 'content-type': 'application/json' };
      const path = `${this.api}${redrawing ? 'edits' : 'images'}`;
      const answer = await askServer(path, { method: 'POST', headers, body, signal });
      return await picturesOf(eventsOf(answer), progress);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  cancel(): void {
    this.drawing?.abort();
  }

  close(): void {
    this.cancel();
  }
}

/** What is asked for of a picture that is changed. */
async function editOf({ original, mask, keepScales }: Redrawing): Promise<object> {
  const image = await pngOfPixels(original);
  return { image, keepScales, ...(mask && { mask: await pngOfPixels(maskPixels(original, mask)) }) };
}

/** White where to draw, black elsewhere. */
function maskPixels({ width, height }: Redrawing['original'], mask: Uint8Array): Redrawing['original'] {
  const data = new Uint8ClampedArray(width * height * 4);
  mask.forEach((value, i) => data.fill(255 * value, i * 4, i * 4 + 3).fill(255, i * 4 + 3, i * 4 + 4));
  return { width, height, data };
}

/** Shows each scale of a drawing. -> where its words act. @throws PainterError if it failed or broke off */
async function picturesOf(
  events: AsyncIterable<ServerEvent>,
  { onScale, onPlace }: Progress,
): Promise<readonly WordMap[]> {
  let words: readonly WordMap[] = [];
  for await (const { event, data } of events) {
    if (event === 'failed') throw new PainterError('server', (JSON.parse(data) as { error: string }).error);
    if (event === 'waiting') onPlace((JSON.parse(data) as { waiting: number }).waiting);
    if (event === 'scale') onScale(await scaleOf(JSON.parse(data) as ServedScale));
    if (event === 'attention') words = wordMaps(JSON.parse(data) as ServedAttention);
    if (event === 'finished') return words;
  }
  throw new PainterError('server', 'The connection ended before the picture was finished.');
}

const scaleOf = async ({ scale, milliseconds, pictures }: ServedScale): Promise<DrawnScale> => ({
  scale,
  milliseconds,
  pixels: await pixelsOfPng(pictures[0]),
});

const wordMaps = ({ attention: [words] }: ServedAttention): WordMap[] =>
  words.flatMap(({ word, scales }) =>
    scales.map(({ shares, ...map }) => ({ ...map, word, shares: Float32Array.from(shares) })),
  );
