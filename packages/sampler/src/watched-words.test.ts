import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '@star-webgpu/tensor-webgpu';
import { testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import type { PromptOptions } from './generate-from-prompts.ts';
import type { Pipeline } from './pipeline.ts';
import type { Prompt } from './prompts.ts';
import { tinyPipeline } from './testing/tiny-pipeline.ts';
import { watchableWords } from './watched-words.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  await testDevice();
  // The words in pieces of few letters, and the prompts whole.
  pipeline = tinyPipeline({ positions: 24 });
});
afterAll(() => pipeline.dispose());

/** Maps of each scale, [B, W, l] row-major. */
async function mapsOf(prompts: readonly Prompt[], options: PromptOptions): Promise<number[][]> {
  const maps: number[][] = [];
  for await (const { watched_BWl } of pipeline.generate(prompts, options))
    maps.push([...(await valuesOf(watched_BWl!))]);
  return maps;
}

describe('watched words', () => {
  it('have a map of each scale for each picture and word, and leave the pictures as they are', async () => {
    const options = { seed: [1, 2], watch: { words: ['red', 'apple', 'red apple'] } };
    const maps = await mapsOf(['red apple', 'a red apple'], options);
    expect(maps.map(({ length }) => length)).toEqual([2 * 3 * 1, 2 * 3 * 9]);
    for (const [scale, map] of maps.entries()) {
      const l = [1, 9][scale]!;
      for (let b = 0; b < 2; b++)
        for (let at = 0; at < l; at++) {
          const [red, apple, both] = [0, 1, 2].map((w) => map[(b * 3 + w) * l + at]!) as [number, number, number];
          expect(red).toBeGreaterThan(0);
          expect(Math.abs(red + apple - both)).toBeLessThan(1e-6);
          expect(both).toBeLessThan(1);
        }
    }
    const { watch: _, ...plain } = options;
    expect(await pipeline.pictures(['red apple', 'a red apple'], options)).toEqual(
      await pipeline.pictures(['red apple', 'a red apple'], plain),
    );
  });

  it('change from run to run without a new recording', async () => {
    const first = await mapsOf(['red apple'], { watch: { words: ['red'] } });
    const buffers = currentDevice().stats().liveBuffers;
    const second = await mapsOf(['red apple'], { watch: { words: ['apple'] } });
    expect(currentDevice().stats().liveBuffers).toBe(buffers);
    expect(second).not.toEqual(first);
    expect(await mapsOf(['red apple'], { watch: { words: ['red'] } })).toEqual(first);
  });

  it('do not depend on the unconditional rows', async () => {
    const seed = 3;
    const guided = await mapsOf(['red apple'], { seed, guidance: [1, 0], watch: { words: ['apple'] } });
    const alone = await mapsOf(['red apple'], { seed, guidance: 0, watch: { words: ['apple'] } });
    expect(guided[0]).toEqual(alone[0]);
  });

  it('are averaged over the heads that are asked for', async () => {
    const of = (heads?: readonly number[]): Promise<number[][]> =>
      mapsOf(['red apple'], { seed: 4, watch: { words: ['apple'], blocks: [0], ...(heads && { heads }) } });
    const [first, second, both] = [await of([0]), await of([1]), await of()];
    for (const [scale, map] of both.entries())
      map.forEach((share, at) =>
        expect(Math.abs(share - (first[scale]![at]! + second[scale]![at]!) / 2)).toBeLessThan(1e-6),
      );
  });

  it('are looked for in both prompts of a blend', async () => {
    const blends = [0, 0.5, 1].map((share) => ({ from: 'red apple', to: 'green pear', share }));
    const [first] = await mapsOf(blends, { seed: 1, watch: { words: ['apple', 'pear'] } });
    expect(first!.map((share) => share > 0)).toEqual([true, false, true, true, false, true]);
  });

  it('are refused by name where a prompt lacks them, as are blocks and heads that there are not', async () => {
    await expect(mapsOf(['red apple', 'pear'], { watch: { words: ['apple', 'plum'] } })).rejects.toThrow(
      'got the watched word "plum", not seen in "red apple"; the watched word "apple", not seen in "pear"; ' +
        'the watched word "plum", not seen in "pear". Correct these options.',
    );
    await expect(mapsOf(['red'], { watch: { words: ['red'], blocks: [1], heads: [0, 0] } })).rejects.toThrow(
      'got watched blocks [1] instead of different ones from 0 to 0; watched heads [0, 0] instead of different ones from 0 to 1.',
    );
    await expect(mapsOf(['red'], { watch: { words: [] } })).rejects.toThrow('got no watched words.');
  });
});

describe('watchableWords', () => {
  it('gives each word of a prompt once, and no more than fit in a head', () => {
    expect(watchableWords(pipeline, 'Red apple, a red heart-eyed one; 2')).toEqual(['red', 'apple', 'a', 'heart-eyed']);
    expect(watchableWords(pipeline, 'a b c d e f g h i j')).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(watchableWords(pipeline, '...')).toEqual([]);
  });
});
