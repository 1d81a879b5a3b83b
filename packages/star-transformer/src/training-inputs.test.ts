import {
  backward,
  concat,
  hostRandom,
  plan,
  scope,
  seedWords,
  slice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { expectClose, hashed, relativeError, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { tokenOffsets } from '@star-webgpu/vqvae/scales';
import { beforeAll, describe, expect, it } from 'vitest';
import { starConfig } from './config.ts';
import { Star, type StarInput } from './star.ts';
import { maskOf } from './testing/reference.ts';

const config = starConfig({
  patchNumbers: [1, 2, 3, 5],
  depth: 3,
  width: 64,
  heads: 2,
  textWidth: 16,
  codeWidth: 8,
  codebookSize: 24,
  dropPath: 0.5,
});
const [B, L] = [2, 39];
const offsets = tokenOffsets(config.patchNumbers);

let star: Star;
let text: TextFeatures;
let input_BlZ: Tensor;
let targets_BL: Tensor;

beforeAll(async () => {
  await testDevice();
  star = new Star(config, { seed: 1 });
  text = { states: hashed('states', [B, 5, 16]), mask: maskOf([5, 3], 5), pooled: hashed('pooled', [B, 16]) };
  input_BlZ = hashed('input', [B, L - 1, 8]);
  const random = hostRandom(1);
  const codes = Array.from({ length: B * L }, () => Math.floor(24 * random.uniform()));
  targets_BL = tensor(codes, [B, L], { dtype: 'u32' });
});

const features = (more: Partial<StarInput> = {}): Tensor => star.features({ input_BlZ, text, ...more });

describe('a part of the tokens', () => {
  it.each([1, 2, 3])('the first %i scales alone have the features that they have beside all others', async (scales) => {
    const count = offsets[scales]!;
    const all = features();
    const first = features({ input_BlZ: count > 1 ? slice(input_BlZ, 1, 0, count - 1) : undefined });
    expect(first.shape).toEqual([B, count, 64]);
    await expectClose(first, await valuesOf(slice(all, 1, 0, count)), 1e-6);
  });

  /** Features of the tokens of all coarser scales, and of those of the last one at some places, in that order. */
  async function ofPlaces(last: readonly number[]): Promise<Float32Array[]> {
    const places = [...Array.from({ length: 14 }, (_, i) => i), ...last];
    const given = places.slice(1).map((place) => slice(input_BlZ, 1, place - 1, place));
    const places_l = tensor(places, [places.length], { dtype: 'u32' });
    const some = features({ input_BlZ: concat(given, 1), places_l });
    return Promise.all(places.map((_, i) => valuesOf(slice(some, 1, i, i + 1))));
  }

  it('all tokens of the last scale by their places are all tokens', async () => {
    const last = Array.from({ length: 25 }, (_, i) => 14 + i);
    const all = features();
    for (const [i, row] of (await ofPlaces(last)).entries())
      expect(relativeError(row, await valuesOf(slice(all, 1, i, i + 1))), `token ${i}`).toBeLessThan(1e-6);
  });

  it('some tokens of the last scale see each other at their places: in another order they are the same, without one they are not', async () => {
    const one = await ofPlaces([17, 25, 30, 38]);
    const other = await ofPlaces([38, 25, 17, 30]);
    const without = await ofPlaces([17, 25, 38]);
    const all = features();
    for (let i = 0; i < 14; i++)
      expect(relativeError(one[i]!, await valuesOf(slice(all, 1, i, i + 1)))).toBeLessThan(1e-6);
    // the sums of attention have another order
    for (const [i, j] of [16, 15, 17, 14].entries())
      expect(relativeError(one[14 + i]!, other[j]!), `token ${i}`).toBeLessThan(1e-5);
    expect(relativeError(one[14]!, without[14]!)).toBeGreaterThan(1e-3);
  });
});

describe('recomputed blocks', () => {
  const step = (recompute: boolean): Tensor[] => {
    const seed = tensor(seedWords([3]), [1, 2], { dtype: 'u32' });
    const states = Object.assign(hashed('states', [B, 5, 16]), { requiresGrad: true });
    const x_BLC = features({ text: { ...text, states }, dropPathSeed: seed, recompute });
    const { loss } = star.loss(x_BLC, targets_BL);
    return [loss, ...backward(loss, [...star.namedParameters().values(), states])];
  };

  it('give the loss and the gradients of the plain pass, bit for bit, with dropped branches and a text that learns', async () => {
    const [plain, again] = [scope(() => step(false)), scope(() => step(true))];
    const bytesOf = async (x: Tensor): Promise<Uint8Array> => new Uint8Array((await valuesOf(x)).buffer);
    for (const [i, want] of plain.entries())
      expect(Buffer.compare(await bytesOf(again[i]!), await bytesOf(want)), `${i}`).toBe(0);
  });

  it('want less memory', () => {
    const bytesOf = (recompute: boolean): number => {
      const planned = plan(() => step(recompute));
      planned.dispose();
      return planned.size.bytes;
    };
    expect(bytesOf(true)).toBeLessThan(0.8 * bytesOf(false));
  });
});
