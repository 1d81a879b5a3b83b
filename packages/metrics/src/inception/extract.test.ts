import { scope, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Picture } from '../picture.ts';
import { noise } from '../testing/pictures.ts';
import { randomInception } from '../testing/small-networks.ts';
import { inceptionFeatures, type PictureFeatures } from './extract.ts';

beforeAll(async () => void (await testDevice()));

describe('inceptionFeatures', () => {
  it('gives each picture, of whatever size, the features of the network, whatever runs beside it', async () => {
    const model = randomInception({ channelDivisor: 16, side: 75 });
    const pictures = [noise(30, 41, 1), noise(75, 75, 2), noise(200, 90, 3), noise(1, 1, 4), noise(64, 64, 5)];
    const taps = ['pool2048', 'logits'] as const;
    const found: PictureFeatures<(typeof taps)[number]>[] = [];
    for await (const features of inceptionFeatures(model, pictures, { taps, batch: 2 })) found.push(features);
    expect(found.length).toBe(5);
    for (const [i, { width, height, data }] of pictures.entries()) {
      const image = tensor(
        Float32Array.from(data, (byte) => byte / 255),
        [1, height, width, 3],
      );
      const wanted = scope(() => model.forward(image, taps));
      // Two ways to sum the same products: host and device round the resized picture differently.
      for (const tap of taps) await expectClose(found[i]![tap], await wanted[tap]!.data(), 1e-5);
    }
    model.dispose();
  });

  it('of nothing is nothing, and refuses bytes that do not fill a picture', async () => {
    const model = randomInception({ channelDivisor: 16, side: 75 });
    for await (const _ of inceptionFeatures(model, [], { taps: ['pool64'] })) expect.unreachable();
    const torn: Picture = { width: 2, height: 2, data: new Uint8Array(11) };
    await expect(inceptionFeatures(model, [torn], { taps: ['pool64'] }).next()).rejects.toThrow(
      'inceptionFeatures: data must hold 12 bytes for 2x2 RGB, got 11. Drop an alpha channel first.',
    );
    model.dispose();
  });
});
