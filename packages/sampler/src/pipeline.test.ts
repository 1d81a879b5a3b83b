import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice, Device, profileOf, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { pictureAt, type Pictures } from './image.ts';
import { ModelFolderError } from './model-folder.ts';
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
    expect(read.sort()).toEqual([...files.keys(), 'sampling.json'].sort());
    const options = { seed: 7, smooth: true };
    expect(await loaded.pictures(['green pear'], options)).toEqual(await pipeline.pictures(['green pear'], options));
    loaded.dispose();
  });

  it('draws with what its model is best drawn with, unless a call says otherwise', async () => {
    const own = { guidance: 0, topK: 1 };
    const tuned = tinyPipeline({ defaults: own });
    const files = await savePipeline(tuned);
    const loaded = await loadPipeline(async (path) => files.get(path)!);
    expect(loaded.defaults).toEqual(own);
    expect(await loaded.pictures(['red'], { seed: 5 })).toEqual(await pipeline.pictures(['red'], { seed: 5, ...own }));
    const other = { seed: 5, guidance: 9, topK: 16 };
    expect(await loaded.pictures(['red'], other)).toEqual(await pipeline.pictures(['red'], other));
    files.set('sampling.json', new TextEncoder().encode('{ "guidance": -1, "topk": 3 }'));
    await expect(loadPipeline(async (path) => files.get(path)!)).rejects.toThrow(
      /got topk in sampling\.json instead of guidance, .*; guidance -1 instead of a number from 0, or a list of such\./,
    );
    for (const one of [tuned, loaded]) one.dispose();
  });

  it.each([
    ['sampling.json', '{', /^sampling\.json: .*JSON/],
    ['star/config.json', '{}', /^star\/config\.json: /],
    ['star/model.safetensors', undefined, /^star\/model\.safetensors: no such file/],
    ['vqvae/model.safetensors', 'not weights', /^vqvae\/model\.safetensors: safetensors: /],
    ['text/config.json', undefined, /^text\/config\.json: loadTextEncoder: folder must hold config\.json/],
    ['text/tokenizer.json', '[]', /^text\/tokenizer\.json: loadTextEncoder: tokenizer\.json must hold a JSON object/],
  ])('names %s where it is missing or broken', async (path, content, message) => {
    const files = await savePipeline(pipeline);
    if (content === undefined) files.delete(path);
    else files.set(path, new TextEncoder().encode(content));
    const loading = loadPipeline(async (file) => {
      const bytes = files.get(file);
      if (!bytes) throw new Error('no such file');
      return bytes;
    });
    await expect(loading).rejects.toThrow(ModelFolderError);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toHaveProperty('path', path);
  });

  it('keeps what it recorded for the next pictures, and a bounded number of such recordings', async () => {
    const live = (): number => currentDevice().stats().liveBuffers;
    const kept: number[] = [];
    const kinds = [{ topK: 0 }, { guidance: 0 }, { smooth: true }];
    for (let i = 0; i < 6; i++) {
      await pipeline.pictures(['red'], kinds[i % 3]);
      for await (const { scale } of pipeline.generate(['red', 'apple'], kinds[i % 3])) if (scale === 0) break;
      kept.push(live());
    }
    expect(new Set(kept.slice(1)).size).toBe(1);
    const before = currentDevice().stats().dispatches;
    await pipeline.pictures(['green'], { topK: 5 });
    const first = currentDevice().stats().dispatches - before;
    await pipeline.pictures(['blue'], { topK: 5 });
    expect(currentDevice().stats().dispatches - before).toBe(2 * first);
    expect(live()).toBe(kept.at(-1));
  });

  it('records nothing anew where only numbers change, and draws by them', async () => {
    const options = [
      { guidance: 2, topK: 5, topP: 0.5, temperature: 0.7 },
      { guidance: [3, 1], topK: [2, 9], topP: 0.9, temperature: [2, 1] },
    ];
    const device = currentDevice();
    const pipelineOfOne = tinyPipeline();
    const drawn = [];
    for (const one of options) drawn.push(await pipelineOfOne.pictures(['green pear'], one));
    const buffers = device.stats().liveBuffers;
    await pipelineOfOne.pictures(['green pear'], { guidance: 9, temperature: 3 });
    expect(device.stats().liveBuffers).toBe(buffers);
    for (const [i, one] of options.entries()) {
      const fresh = tinyPipeline();
      expect(await fresh.pictures(['green pear'], one)).toEqual(drawn[i]);
      fresh.dispose();
    }
    pipelineOfOne.dispose();
  });

  it('leads away from a negative prompt, one for all or one a picture', async () => {
    // Mixed codes show every change of the logits; drawn ones only those that cross to another token.
    const options = { seed: [4, 4, 4], guidance: 6, guidanceSchedule: 'constant', smooth: true } as const;
    const prompts = ['red', 'red', 'red'];
    const plain = await pipeline.pictures(prompts, options);
    const away = await pipeline.pictures(prompts, { ...options, negativePrompt: 'apple' });
    const each = await pipeline.pictures(prompts, { ...options, negativePrompt: ['', 'apple', 'green pear'] });
    expect(pictureAt(each, 0).data).toEqual(pictureAt(plain, 0).data);
    expect(pictureAt(each, 1).data).toEqual(pictureAt(away, 1).data);
    expect(pictureAt(away, 1).data).not.toEqual(pictureAt(plain, 1).data);
    await expect(pipeline.pictures(prompts, { negativePrompt: ['a', 'b'] })).rejects.toThrow(
      'got 2 negative prompts instead of 1 or 3, one a picture.',
    );
    await expect(pipeline.pictures(prompts, { guidance: 0, negativePrompt: 'apple' })).rejects.toThrow(
      'got a negative prompt with guidance 0 at every scale instead of more, as it is guidance that leads away from it.',
    );
  });

  it('draws two pictures at once as it draws them one after the other', async () => {
    const options = { seed: 3 };
    const alone = [await pipeline.pictures(['red'], options), await pipeline.pictures(['green pear'], options)];
    const [first, second] = [pipeline.generate(['red'], options), pipeline.generate(['green pear'], options)];
    const together: Pictures[] = [];
    for (;;) {
      const [a, b] = [await first.next(), await second.next()];
      if (a.done || b.done) break;
      together.splice(0, 2, await a.value.decode(), await b.value.decode());
    }
    expect(together).toEqual(alone);
    await Promise.all([first.return(), second.return()]);
  });

  it('draws within the limits that WebGPU grants everywhere', async () => {
    const usual = currentDevice();
    const { adapter, close } = await openGpu();
    const names = (['subgroups', 'shader-f16'] as const).filter((name) => adapter.features.has(name));
    const gpu = await adapter.requestDevice({ requiredFeatures: names });
    expect(gpu.limits.maxStorageBuffersPerShaderStage).toBe(8);
    const small = new Device(gpu, profileOf(adapter), { wait: throttledWait, onDestroy: close });
    setDevice(small);
    const options = { seed: 3, smooth: true };
    const other = tinyPipeline();
    const drawn = await other.pictures(['red apple', ''], options);
    other.dispose();
    small.destroy();
    setDevice(usual);
    expect(drawn).toEqual(await pipeline.pictures(['red apple', ''], options));
  });

  it('gives everything back in the end', async () => {
    const before = currentDevice().stats().liveBuffers;
    const other = tinyPipeline();
    const running = other.generate(['red']);
    await running.next();
    await other.pictures(['red', 'apple']);
    other.dispose();
    await running.return();
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });

  it('refuses a transformer for another text tower', () => {
    expect(() => tinyPipeline({ textWidth: 12 })).toThrow(
      'generate: models must belong together, got textWidth 12 of the transformer and 8 of the text.',
    );
  });
});
