import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '@star-webgpu/tensor-webgpu';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { pictureAt } from './image.ts';
import { loadPipeline, type Pipeline, savePipeline } from './pipeline.ts';
import { tinyPipeline } from './testing/tiny-pipeline.ts';

describe('Pipeline', () => {
  let pipeline: Pipeline;

  beforeAll(async () => {
    await testDevice();
    pipeline = tinyPipeline();
  });
  afterAll(() => pipeline.dispose());

  it('draws one picture a prompt, an empty and an unknown one too', async () => {
    const pictures = await pipeline.pictures(['red apple', '', 'ein Überzug 🍏'], { seed: [1, 2, 3] });
    expect([pictures.count, pictures.height, pictures.width]).toEqual([3, 6, 6]);
    const alone = await pipeline.pictures([''], { seed: 2 });
    const difference = alone.data.map((byte, i) => Math.abs(byte - pictureAt(pictures, 1).data[i]!));
    expect(Math.max(...difference)).toBeLessThanOrEqual(1);
  });

  it('comes back from its folder the same', async () => {
    const files = await savePipeline(pipeline);
    const read: string[] = [];
    const loaded = await loadPipeline(async (path) => {
      read.push(path);
      return files.get(path)!;
    });
    expect(read.sort()).toEqual([...files.keys()].sort());
    const options = { seed: 7, smooth: true };
    expect(await loaded.pictures(['green pear'], options)).toEqual(await pipeline.pictures(['green pear'], options));
    loaded.dispose();
  });

  it('leaves no buffer behind, read to the end or left early', async () => {
    const before = currentDevice().stats().liveBuffers;
    await pipeline.pictures(['red']);
    for await (const { scale } of pipeline.generate(['red', 'apple'])) if (scale === 0) break;
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });

  it('refuses a transformer for another text tower', () => {
    expect(() => tinyPipeline({ textWidth: 12 })).toThrow(
      'generate: models must belong together, got textWidth 12 of the transformer and 8 of the text.',
    );
  });
});
