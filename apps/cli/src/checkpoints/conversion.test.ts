import { describe, expect, it } from 'vitest';
import { hostFloats, readStored, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import { openTorch, tensorsIn } from '@star-webgpu/tensor-webgpu/torch';
import { partsBytes, torchParts, type WrittenOrdered } from '@star-webgpu/tensor-webgpu/testing';
import { patchNumberPresets } from '@star-webgpu/vqvae/scales';
import { publishedStar, refinerNames, resized, starBuffers, trainerCheckpoint, written } from '../testing/published.ts';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { convertStar } from './convert-star.ts';
import { withNullDevice } from '../null-device.ts';
import { findModels } from './recognise.ts';
import { fittingWeights } from './write-model.ts';

const options: ConversionOptions = { seed: 7, crossAttention: 'first-sample', refiner: true, sampleFrom: 9 };

/** Converts the STAR of a checkpoint of these weights. */
async function convert(
  star: WrittenOrdered,
  patchNumbers: readonly number[],
  changes: Partial<ConversionOptions> = {},
): Promise<Conversion> {
  const { value } = await openTorch(partsBytes(torchParts(trainerCheckpoint(star, { patchNumbers }))));
  const [found] = findModels(tensorsIn(value));
  return withNullDevice(() => convertStar(found!, value, { ...options, ...changes }));
}

/** The small STAR with another number of scales, with or without its refiner. */
async function starOf(scales: number, refiner: boolean): Promise<WrittenOrdered> {
  const all = resized(await publishedStar(), { 4: scales });
  return written(new Map([...all].filter(([name]) => refiner || !refinerNames.test(name))), starBuffers(3, 128));
}

const configOf = ({ files }: Conversion): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(files.get('config.json'))) as Record<string, unknown>;

const rowsOf = async (tensor: StoredTensor): Promise<number[][]> => {
  const [rows, width] = tensor.shape as [number, number];
  const values = hostFloats(await readStored(tensor));
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * width, (row + 1) * width)]);
};

const level = (conversion: Conversion): Promise<number[][]> =>
  rowsOf(fittingWeights(conversion).get('lvl_embed.weight')!);

describe('the published layouts of STAR', () => {
  it.each([
    ['star-256-d16', '256', false],
    ['star-256-d30', '256', false],
    ['star-512-d30', '512', false],
    ['star-1024-d30', '1024', false],
    ['star-1024-sampler-d30', '1024', true],
  ] as const)(
    '%s, in small: every tensor has its place, patch numbers come from the file',
    async (_, preset, refiner) => {
      const patchNumbers = patchNumberPresets[preset];
      const conversion = await convert(await starOf(patchNumbers.length, refiner), patchNumbers);
      expect(configOf(conversion)).toMatchObject({ patchNumbers, depth: 3, width: 128, textWidth: 32 });
      expect(configOf(conversion)['refiner']).toEqual(refiner ? { depth: 3, sampleFrom: 9 } : undefined);
      const names = [...(await publishedStar()).keys()].filter((name) => refiner || !refinerNames.test(name));
      expect([...fittingWeights(conversion).keys()].toSorted()).toEqual(names.toSorted());
      expect(conversion.notes).toEqual([]);
    },
  );

  it('have the patch numbers of the only preset with as many scales where the file lists none', async () => {
    const { value } = await openTorch(partsBytes(torchParts(await starOf(14, false))));
    const [found] = findModels(tensorsIn(value));
    const conversion = await withNullDevice(() => convertStar(found!, value, options));
    expect(configOf(conversion)['patchNumbers']).toEqual(patchNumberPresets['1024']);
  });
});

describe('another resolution', () => {
  it('keeps the rows of the scales that there were and draws the others from a seed: 256 to 512 to 1024', async () => {
    const first = await convert(await starOf(10, true), patchNumberPresets['256']);
    const second = await convert(await starOf(10, true), patchNumberPresets['256'], {
      patchNumbers: patchNumberPresets['512'],
    });
    const third = await convert(await starOf(10, true), patchNumberPresets['512'], {
      patchNumbers: patchNumberPresets['1024'],
    });
    expect(await level(second)).toEqual(await level(first));
    expect(second.notes).toEqual([]);
    const rows = await level(third);
    expect(rows.slice(0, 10)).toEqual(await level(second));
    expect(rows.length).toBe(14);
    expect(third.notes).toEqual([
      'lvl_embed.weight: 10 of 10 rows kept, 4 drawn from seed 7',
      'lvl_embed_2.weight: 10 of 10 rows kept, 4 drawn from seed 7',
    ]);
    expect(configOf(third)['patchNumbers']).toEqual(patchNumberPresets['1024']);
  });

  it('draws new rows as a new model has them: truncated normal of variance 1/(3C), the same for the same seed', async () => {
    const convertTo1024 = async (seed: number): Promise<Conversion> =>
      convert(await starOf(10, true), patchNumberPresets['512'], { patchNumbers: patchNumberPresets['1024'], seed });
    const drawn = (await level(await convertTo1024(7))).slice(10).flat();
    const variance = drawn.reduce((sum, value) => sum + value ** 2, 0) / drawn.length;
    // 512 draws: the variance of their square is 2, so that the mean is within 4 of its deviations of 0.0625 each
    expect(variance * 3 * 128).toBeGreaterThan(0.75);
    expect(variance * 3 * 128).toBeLessThan(1.25);
    expect((await level(await convertTo1024(7))).slice(10).flat()).toEqual(drawn);
    expect((await level(await convertTo1024(8))).slice(10).flat()).not.toEqual(drawn);
    const { weights } = await convertTo1024(7);
    expect((await rowsOf(weights.get('lvl_embed_2.weight')!)).slice(10).flat()).not.toEqual(drawn);
  });

  it('keeps only the first rows where there are fewer scales', async () => {
    const large = await convert(await starOf(14, false), patchNumberPresets['1024']);
    const small = await convert(await starOf(14, false), patchNumberPresets['1024'], {
      patchNumbers: patchNumberPresets['512-12-scales'],
    });
    expect(await level(small)).toEqual((await level(large)).slice(0, 12));
    expect(small.notes).toEqual(['lvl_embed.weight: 12 of 14 rows kept']);
  });
});
