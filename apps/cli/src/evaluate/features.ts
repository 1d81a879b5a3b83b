import { join } from 'node:path';
import {
  type Clip,
  FeatureStore,
  type Inception,
  inceptionFeatures,
  type InceptionTap,
  type Picture,
} from '@star-webgpu/metrics';
import { countdown } from '../output.ts';
import type { PictureSource, SourcePicture } from './sources.ts';

/** Layers of the Inception network by their published channels. */
export const layers = ['64', '192', '768', '2048'] as const;
export type Layer = (typeof layers)[number];

export interface FeatureWork {
  /** Where features are kept. */
  readonly folder: string;
  readonly batch: number;
  readonly signal: AbortSignal;
}

/** A network in use, and what tells it from others. */
export interface Used<T> {
  readonly model: T;
  readonly identity: string;
}

/** What a set looks like to the Inception network, picture by picture. */
export interface InceptionSet {
  readonly features: readonly Float32Array[];
  readonly logits: readonly Float32Array[];
}

/** Features and logits of a source; those that an earlier run left are not computed again. */
export async function inceptionSet(
  { model, identity }: Used<Inception>,
  source: PictureSource,
  { layer, ...work }: FeatureWork & { readonly layer: Layer },
): Promise<InceptionSet> {
  const { classes, channelDivisor } = model.config;
  const tap: InceptionTap = `pool${layer}`;
  const origin = `${identity} ${source.identity}`;
  const width = Number(layer) / channelDivisor;
  // One row holds both, so that a kill cannot leave one without the other.
  const store = await FeatureStore.open(join(work.folder, `inception-${layer}.f32`), {
    identity: origin,
    width: width + classes,
  });
  try {
    const left = source.pictures.slice(store.count);
    const taps = [tap, 'logitsWithoutBias'] as const;
    const rows = (pictures: AsyncIterable<Picture>) => inceptionFeatures(model, pictures, { taps, batch: work.batch });
    await fill(
      store,
      left,
      { ...work, what: `Inception features of ${source.label}`, total: source.pictures.length },
      async function* (pictures) {
        for await (const found of rows(pictures)) yield joined(found[tap], found.logitsWithoutBias);
      },
    );
    const all = await store.all();
    return { features: all.map((row) => row.subarray(0, width)), logits: all.map((row) => row.subarray(width)) };
  } finally {
    await store.close();
  }
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Vectors of a source's pictures in CLIP's space; those that an earlier run left are not computed again. */
export async function clipImageSet(
  { model, identity }: Used<Clip>,
  source: PictureSource,
  work: FeatureWork,
): Promise<Float32Array[]> {
  const origin = { identity: `${identity} ${source.identity}`, width: model.width };
  const store = await FeatureStore.open(join(work.folder, 'clip-image.f32'), origin);
  try {
    const left = source.pictures.slice(store.count);
    const about = { ...work, what: `CLIP features of ${source.label}`, total: source.pictures.length };
    await fill(store, left, about, (pictures) => model.imageFeatures(pictures, { batch: work.batch }));
    return await store.all();
  } finally {
    await store.close();
  }
}

interface Filling extends FeatureWork {
  readonly what: string;
  readonly total: number;
}

/** Computes rows for pictures and stores them one by one, with progress and a place to stop between batches. */
async function fill(
  store: FeatureStore,
  pictures: readonly SourcePicture[],
  { what, total, signal }: Filling,
  compute: (pictures: AsyncIterable<Picture>) => AsyncIterable<Float32Array>,
): Promise<void> {
  if (!pictures.length) return;
  const before = store.count;
  const progress = countdown(pictures.length, (done) => `${what}: ${before + done} of ${total}`);
  for await (const row of compute(readAll(pictures, signal))) {
    await store.add(row);
    progress(store.count - before);
  }
}

/** Pictures decoded one after the other, until the signal stops them. */
async function* readAll(pictures: readonly SourcePicture[], signal: AbortSignal): AsyncGenerator<Picture> {
  for (const picture of pictures) {
    signal.throwIfAborted();
    yield await picture.read();
  }
}
