import { currentDevice } from '@star-webgpu/tensor-webgpu';
import { testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EditOptions, encodePicture } from './edit.ts';
import { pictureAt, type Pictures } from './image.ts';
import type { Pipeline } from './pipeline.ts';
import type { Prompt } from './prompts.ts';
import { boxRegion, tokenWeights } from './region.ts';
import { tinyPipeline } from './testing/tiny-pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  await testDevice();
  pipeline = tinyPipeline();
});
afterAll(() => pipeline.dispose());

const size = { width: 6, height: 6 };
const picture: Pictures = { count: 1, ...size, data: Uint8Array.from({ length: 108 }, (_, i) => (i * 37) % 256) };

/** Tokens of all scales, a row a prompt, and the finished pictures. */
async function edited(prompts: readonly Prompt[], options: EditOptions): Promise<{ rows: number[][]; last: Pictures }> {
  const rows = prompts.map((): number[] => []);
  let last: Pictures | undefined;
  for await (const { indices_Bl, decode } of pipeline.edit({ picture, prompts }, options)) {
    const tokens = await valuesOf(indices_Bl);
    const l = tokens.length / prompts.length;
    rows.forEach((row, b) => row.push(...tokens.slice(b * l, b * l + l)));
    last = await decode();
  }
  return { rows, last: last! };
}

const tokensOf = async (one: Pictures): Promise<number[]> => {
  const tokens = encodePicture(pipeline.vqvae, one);
  try {
    return Array.from(await valuesOf(tokens));
  } finally {
    tokens.dispose();
  }
};

describe('editPicture', () => {
  it('keeps the tokens outside the region and draws those inside, by prompt and seed', async () => {
    const region = boxRegion({ left: 0, top: 0, width: 4, height: 3 }, size);
    const weights = tokenWeights(region, [1, 3]);
    const given = await tokensOf(picture);
    const options = { region, topK: 0, topP: 0, seed: [1, 2, 3, 4] };
    const { rows } = await edited(['red', 'red', 'green pear', ''], options);
    for (const row of rows) row.forEach((token, i) => weights[i] === 1 && expect(token).toBe(given[i]));
    expect(weights.some((weight) => weight === 0)).toBe(true);
    expect(new Set(rows.map(String)).size).toBeGreaterThan(1);
  });

  it('changes a picture that is not square at its ratio', async () => {
    const wide = { width: 8, height: 4 };
    const given: Pictures = { count: 1, ...wide, data: Uint8Array.from({ length: 96 }, (_, i) => (i * 53) % 256) };
    const region = boxRegion({ left: 0, top: 0, width: 4, height: 4 }, wide);
    const tokens = await tokensOf(given);
    // 1 x 1 and 4 x 2 tokens; the right half stays
    expect(tokens).toHaveLength(9);
    const asked = { picture: given, prompts: ['red', 'green pear'] };
    const rows: number[][] = [[], []];
    for await (const { indices_Bl } of pipeline.edit(asked, {
      region,
      ratio: '16:9',
      seed: [1, 2],
      topK: 0,
      topP: 0,
    })) {
      const drawn = await valuesOf(indices_Bl);
      rows.forEach((row, b) => row.push(...drawn.slice((b * drawn.length) / 2, ((b + 1) * drawn.length) / 2)));
    }
    for (const row of rows) for (const kept of [3, 4, 7, 8]) expect(row[kept]).toBe(tokens[kept]);
    expect(rows[0]).not.toEqual(rows[1]);
    await expect(pipeline.edit(asked, { region }).next()).rejects.toThrow(
      "got a picture of 8 x 4 pixels instead of the model's 6 x 6.",
    );
  });

  it('gives the reconstruction where nothing is drawn anew', async () => {
    const nothing = boxRegion({ left: 0, top: 0, width: 0, height: 0 }, size);
    const all = await edited(['red'], { region: nothing });
    expect(all.rows[0]).toEqual(await tokensOf(picture));
    const kept = await edited(['red'], { keepScales: 2 });
    expect(kept.last).toEqual(all.last);
  });

  it('keeps the first scales for variations, each by its own seed', async () => {
    const given = await tokensOf(picture);
    const { rows } = await edited(['red', 'red'], { keepScales: 1, topK: 0, topP: 0, seed: [5, 9] });
    for (const row of rows) expect(row[0]).toBe(given[0]);
    expect(rows[0]).not.toEqual(rows[1]);
  });

  it('leaves a second sampling of the same recording to its own region', async () => {
    const nothing = boxRegion({ left: 0, top: 0, width: 0, height: 0 }, size);
    const before = await edited(['red'], { region: nothing });
    await edited(['red'], { keepScales: 1 });
    expect(await edited(['red'], { region: nothing })).toEqual(before);
  });

  it('keeps live buffers level', async () => {
    const counts: number[] = [];
    for (let i = 0; i < 3; i++) {
      await edited(['red'], { keepScales: 1, feather: true });
      counts.push(currentDevice().stats().liveBuffers);
    }
    expect(new Set(counts).size).toBe(1);
  });

  it('refuses pictures and regions of other sizes, all at once', async () => {
    const large: Pictures = { count: 1, width: 8, height: 6, data: new Uint8Array(144) };
    const asked = pipeline.edit(
      { picture: large, prompts: ['red'] },
      { region: boxRegion({ left: 0, top: 0, ...size }, size) },
    );
    await expect(asked.next()).rejects.toThrow(
      "got a picture of 8 x 6 pixels instead of the model's 6 x 6; a region of 6 x 6 pixels instead of the picture's 8 x 6.",
    );
  });
});

describe('blends of prompts', () => {
  it('are their ends at 0 and 1, and something between them elsewhere', async () => {
    const options = { seed: [7, 7, 7], smooth: true };
    const [from, to] = ['red apple', 'green pear'];
    const blended = await pipeline.pictures(
      [0, 0.5, 1].map((share) => ({ from, to, share })),
      options,
    );
    const plain = await pipeline.pictures([from, to], { ...options, seed: [7, 7] });
    expect(pictureAt(blended, 0).data).toEqual(pictureAt(plain, 0).data);
    expect(pictureAt(blended, 2).data).toEqual(pictureAt(plain, 1).data);
    expect(pictureAt(blended, 1).data).not.toEqual(pictureAt(plain, 0).data);
    expect(pictureAt(blended, 1).data).not.toEqual(pictureAt(plain, 1).data);
  });
});
