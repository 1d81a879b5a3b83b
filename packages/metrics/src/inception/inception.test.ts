import { contiguous, permute, scope, tensor, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import {
  expectClose,
  goldenWeights,
  type GoldenTensor,
  hashedValues,
  loadGolden,
  loadGoldenJson,
  type Manifest,
  testDevice,
} from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenFile } from '../testing/golden-file.ts';
import { randomInception } from '../testing/small-networks.ts';
import { inceptionConfig } from './config.ts';
import { inceptionTaps } from './inception.ts';
import { inceptionOf, inceptionShapes, loadInception } from './weights.ts';

beforeAll(async () => void (await testDevice()));

describe('Inception', () => {
  it('equals the reference at full size: pool 64, pool 2048 and 1008 logits', async () => {
    const manifest = await loadGoldenJson<Manifest>(goldenFile('inception_manifest.json'));
    const golden = (await loadGolden(goldenFile('inception.safetensors'))) as Map<string, GoldenTensor>;
    const model = inceptionOf(inceptionConfig(), goldenWeights(manifest));
    const values = hashedValues('inception_img', 3 * 64 * 64).map((value) => (value + 1) / 2);
    const images = contiguous(permute(tensor(values, [1, 3, 64, 64]), [0, 2, 3, 1]));
    const found = scope(() => model.forward(images, ['pool64', 'pool2048', 'logits']));
    // Tolerance of the goldens for outputs of whole networks in float32.
    await expectClose(found.pool64!, golden.get('pool64')!.values, 5e-5);
    await expectClose(found.pool2048!, golden.get('pool2048')!.values, 5e-5);
    await expectClose(found.logits!, golden.get('logits1008')!.values, 5e-5);
    model.dispose();
  }, 120_000);

  it('names exactly the tensors of the reference', async () => {
    const { tensors } = await loadGoldenJson<Manifest>(goldenFile('inception_manifest.json'));
    const shapes = inceptionShapes(inceptionConfig());
    const named = tensors.map(([name, shape]): [string, readonly number[]] => [name, shape]);
    expect(new Map(named.sort())).toEqual(new Map([...shapes].sort()));
  });

  it('gives a picture the same features alone and in a batch, and those of a tap whatever else is asked for', async () => {
    const model = randomInception({ channelDivisor: 16, side: 75 });
    const values = hashedValues('three pictures', 3 * 50 * 40 * 3).map((value) => (value + 1) / 2);
    const batch = scope(() => model.forward(tensor(values, [3, 50, 40, 3]), inceptionTaps));
    const second = tensor(values.subarray(50 * 40 * 3, 2 * 50 * 40 * 3), [1, 50, 40, 3]);
    const widths = { pool64: 4, pool192: 12, pool768: 48, pool2048: 128, logits: 10, logitsWithoutBias: 10 };
    for (const tap of inceptionTaps) {
      const alone = scope(() => model.forward(second, [tap]));
      expect(Object.keys(alone)).toEqual([tap]);
      expect(batch[tap]!.shape).toEqual([3, widths[tap]]);
      const all = await batch[tap]!.data();
      await expectClose(alone[tap]!, all.subarray(widths[tap], 2 * widths[tap]), 1e-5);
    }
    model.dispose();
  });

  it('comes from a folder, and says everything that does not fit', async () => {
    const config = { channelDivisor: 16, side: 75, classes: 10 };
    const weights = goldenWeights({
      seed_name: '{name}',
      tensors: [...inceptionShapes(inceptionConfig(config))].map(([name, shape]) => [name, [...shape], 0.1, 0.5]),
    });
    const folder = (given: typeof weights) => async (file: string) =>
      file === 'config.json' ? new TextEncoder().encode(JSON.stringify(config)) : writeSafetensors(given);
    const counted = new Map(weights).set('Conv2d_1a_3x3.bn.num_batches_tracked', weights.get('fc.bias')!);
    (await loadInception(folder(counted))).dispose();
    weights.set('fc.bias', weights.get('fc.weight')!).set('extra', weights.get('fc.weight')!);
    weights.delete('Mixed_7c.branch1x1.bn.bias');
    await expect(loadInception(folder(weights))).rejects.toThrow(
      'Inception: weights must match the model. missing: Mixed_7c.branch1x1.bn.bias; unexpected: extra; ' +
        'misshapen: fc.bias ([10,128] instead of [10]). Check that config and weights belong together.',
    );
  });

  it('refuses a config that is no network', () => {
    expect(() => inceptionConfig({ side: 64, width: 3 } as never)).toThrow(
      'inception: config must be valid, got unknown field width; side 64 instead of an integer of at least 75. Correct these fields.',
    );
  });
});
