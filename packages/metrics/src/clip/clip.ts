import { noGrad, readSafetensors, scope, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { ClipText, TextEncoder, Tokenizer } from '@star-webgpu/text-encoder';
import { inBatches } from '../batches.ts';
import { MetricError, type Picture, type Stream } from '../picture.ts';
import { readJson, type ReadFile } from '../read-file.ts';
import { parseClipConfig } from './config.ts';
import { clipPixelsInto } from './preprocess.ts';
import { ClipVision } from './vision.ts';

/** Both towers of a CLIP model: pictures and prompts become vectors of one space. */
export class Clip {
  readonly text: TextEncoder;
  readonly vision: ClipVision;

  constructor(text: TextEncoder, vision: ClipVision) {
    this.text = text;
    this.vision = vision;
  }

  /** Elements of a vector. */
  get width(): number {
    return this.vision.projection;
  }

  /** Vectors of pictures of any size, one after the other. */
  async *imageFeatures(
    pictures: Stream<Picture>,
    { batch = 8 }: { readonly batch?: number } = {},
  ): AsyncGenerator<Float32Array> {
    for await (const several of inBatches(pictures, batch))
      yield* await rowsOnHost(() => this.vision.forward(this.upload(several)));
  }

  /** Vectors of prompts of any length, cut to the tower's positions. */
  async *textFeatures(
    prompts: Stream<string>,
    { batch = 32 }: { readonly batch?: number } = {},
  ): AsyncGenerator<Float32Array> {
    for await (const several of inBatches(prompts, batch))
      yield* await rowsOnHost(() => this.vision.textFeatures(this.text.encode(several).pooled));
  }

  private upload(pictures: readonly Picture[]): Tensor {
    const { side } = this.vision.config;
    const each = side * side * 3;
    const values = new Float32Array(pictures.length * each);
    pictures.forEach((picture, i) => clipPixelsInto(values.subarray(i * each, (i + 1) * each), picture, side));
    return tensor(values, [pictures.length, side, side, 3]);
  }

  /** Frees both towers. */
  dispose(): void {
    this.text.dispose();
    this.vision.dispose();
  }
}

/** Computes [B, D] without recording and gives its rows. */
async function rowsOnHost(compute: () => Tensor): Promise<Float32Array[]> {
  const features_BD = scope(() => noGrad(compute));
  const [B, D] = features_BD.shape as [number, number];
  const values = await features_BD.data();
  features_BD.dispose();
  return Array.from({ length: B }, (_, i) => values.slice(i * D, (i + 1) * D));
}

/** Constants in files of other programs, and the temperature of training. */
export const unusedClipWeights: RegExp = /\.position_ids$|^logit_scale$/;

/**
 * A CLIP model from a folder in Hugging Face layout: config.json, model.safetensors, tokenizer.json.
 * @throws MetricError, TextError, TextConfigError, SafetensorsError or WeightsError, each naming what is wrong.
 */
export async function loadClip(read: ReadFile): Promise<Clip> {
  const config = parseClipConfig(await readJson('loadClip', read, 'config.json'));
  const tokenizer = new Tokenizer(await readJson('loadClip', read, 'tokenizer.json'));
  const weights = readSafetensors(await read('model.safetensors'));
  const isText = (name: string): boolean => name.startsWith('text_model.');
  const part = (wanted: boolean): typeof weights => new Map([...weights].filter(([name]) => isText(name) === wanted));
  const [text, vision] = [new ClipText(config.text), new ClipVision(config)];
  try {
    text.load(part(true), { ignore: unusedClipWeights }).freeze();
    vision.load(part(false), { ignore: unusedClipWeights }).freeze();
    return new Clip(new TextEncoder(tokenizer, text), vision);
  } catch (fault) {
    text.dispose();
    vision.dispose();
    throw fault;
  }
}

/** Cosine of the angle between two vectors, in float64. @throws MetricError if their lengths differ. */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length)
    throw new MetricError('cosineSimilarity', `vectors must have one length, got ${a.length} and ${b.length}.`);
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Result of `clipScore`. */
export interface ClipScore {
  /** Mean over pictures of the cosine between a picture and its prompt. */
  readonly mean: number;
  readonly count: number;
}

/** CLIP score of pictures and the prompts that they were made for: the mean cosine, not scaled and not cut at zero. NaN for none. */
export async function clipScore(
  clip: Clip,
  pairs: Stream<{ readonly picture: Picture; readonly prompt: string }>,
): Promise<ClipScore> {
  let [sum, count] = [0, 0];
  for await (const several of inBatches(pairs, 8)) {
    const images = clip.imageFeatures(several.map(({ picture }) => picture));
    const texts = clip.textFeatures(several.map(({ prompt }) => prompt));
    for await (const image of images) {
      sum += cosineSimilarity(image, (await texts.next()).value as Float32Array);
      count++;
    }
  }
  return { mean: sum / count, count };
}
