import { noGrad, scope, tensor } from '@star-webgpu/tensor-webgpu';
import type { TextEncoder } from '@star-webgpu/text-encoder';
import type { Vqvae } from '@star-webgpu/vqvae';
import type { PictureSize, TrainingBatch } from '../stage.ts';

/** What a frozen text encoder makes of a caption, kept on the host. */
export interface CaptionFeatures {
  /** States of its real tokens, without padding. [n, D] */
  readonly states: Float32Array;
  /** [D] */
  readonly pooled: Float32Array;
}

/** What frozen encoders made before, instead of them. */
export interface TokenCache {
  /** Tokens of all scales of a picture at a size, [L]. @throws where there are none. */
  indices(key: string, size: PictureSize): Uint32Array;
  /** Features of captions, where they were made. */
  readonly text?: {
    /** Tokens that a caption is padded to (T). */
    readonly tokens: number;
    /** Width of states (D). */
    readonly width: number;
    /** @throws where there are none. */
    features(caption: string): CaptionFeatures;
  };
}

/** Tokens of all scales of each picture, [L] each. */
export async function pictureTokens(
  vqvae: Pick<Vqvae, 'imageToTokens'>,
  { images, shape }: Pick<TrainingBatch, 'images' | 'shape'>,
): Promise<Uint32Array[]> {
  const indices_BL = scope(() => noGrad(() => vqvae.imageToTokens(tensor(images, shape))));
  const all = (await indices_BL.hostData()) as Uint32Array;
  indices_BL.dispose();
  return rowsOf(all, shape[0]);
}

/** Features of each caption. */
export async function captionFeatures(text: TextEncoder, captions: readonly string[]): Promise<CaptionFeatures[]> {
  const features = scope(() => noGrad(() => text.encode(captions)));
  const [states, mask, pooled] = [
    rowsOf(await features.states.data(), captions.length),
    rowsOf((await features.mask.hostData()) as Uint32Array, captions.length),
    rowsOf(await features.pooled.data(), captions.length),
  ];
  for (const part of [features.states, features.mask, features.pooled]) part.dispose();
  return captions.map((_, b) => {
    const real = mask[b]!.reduce((sum, one) => sum + one, 0);
    return { states: states[b]!.slice(0, real * text.width), pooled: pooled[b]! };
  });
}

/** Equal parts of an array, copied. */
export function rowsOf<T extends Uint32Array | Float32Array>(all: T, count: number): T[] {
  const length = all.length / count;
  return Array.from({ length: count }, (_, row) => all.slice(row * length, (row + 1) * length) as T);
}

/** What was made of things that may come again, by name; all of it is forgotten once there is too much. */
export class Remembered<T extends object> {
  private readonly values = new Map<string, T>();
  private readonly most: number;
  private bytes = 0;

  constructor(mostBytes: number) {
    this.most = mostBytes;
  }

  get(name: string): T | undefined {
    return this.values.get(name);
  }

  /** Keeps the values of a batch, which is never forgotten itself. */
  keep(batch: readonly (readonly [name: string, value: T])[]): void {
    const added = batch.reduce((sum, [, value]) => sum + bytesOf(value), 0);
    if (this.bytes + added > this.most) {
      this.values.clear();
      this.bytes = 0;
    }
    this.bytes += added;
    for (const [name, value] of batch) this.values.set(name, value);
  }
}

const bytesOf = (value: object): number =>
  Object.values(value).reduce(
    (sum: number, part: unknown) => sum + (ArrayBuffer.isView(part) ? part.byteLength : 0),
    0,
  );
