import {
  type HostTensor,
  mul,
  noGrad,
  permute,
  readSafetensors,
  scope,
  tensor,
  writeSafetensors,
} from '@star-webgpu/tensor-webgpu';
import {
  expectClose,
  goldenWeights,
  type GoldenTensor,
  hashed,
  loadGolden,
  loadGoldenJson,
  type Manifest,
  testDevice,
} from '@star-webgpu/tensor-webgpu/testing';
import { ClipText } from '@star-webgpu/text-encoder';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenFile } from '../testing/golden-file.ts';
import { flat, noise } from '../testing/pictures.ts';
import { smallClipFiles } from '../testing/small-networks.ts';
import { clipScore, cosineSimilarity, loadClip } from './clip.ts';
import { parseClipConfig } from './config.ts';
import { ClipVision } from './vision.ts';

interface ClipManifest extends Manifest {
  readonly config: Record<string, unknown>;
}

let config: ReturnType<typeof parseClipConfig>;
let golden: Map<string, GoldenTensor>;
let weights: { text: Map<string, HostTensor>; vision: Map<string, HostTensor> };
let tokens: Map<string, GoldenTensor>;
beforeAll(async () => {
  await testDevice();
  const [vision, text] = (await Promise.all(
    ['clip_vision_manifest.json', 'clip_text_manifest.json'].map((name) =>
      loadGoldenJson<ClipManifest>(goldenFile(name)),
    ),
  )) as [ClipManifest, ClipManifest];
  golden = await loadGolden(goldenFile('clip_score.safetensors'));
  tokens = await loadGolden(goldenFile('clip_text.safetensors'));
  config = parseClipConfig({
    text_config: { ...text.config, hidden_act: 'quick_gelu', eos_token_id: 2 },
    vision_config: vision.config,
    projection_dim: vision.config['projection_dim'],
  });
  weights = { text: goldenWeights(text), vision: goldenWeights(vision) };
});

describe('Clip', () => {
  it('equals the reference: picture and text features, and their cosines', async () => {
    const vision = new ClipVision(config).load(weights.vision).freeze();
    const text = new ClipText(config.text).load(weights.text).freeze();
    const integers = (name: string) => tensor(tokens.get(name)!.values, tokens.get(name)!.shape, { dtype: 'u32' });
    const [images, texts] = scope(() =>
      noGrad(() => [
        vision.forward(permute(mul(hashed('clip_pixels', [2, 3, 32, 32]), 1.5), [0, 2, 3, 1])),
        vision.textFeatures(text.forward(integers('ids'), integers('mask')).pooled),
      ]),
    ) as [ReturnType<typeof tensor>, ReturnType<typeof tensor>];
    // Tolerance of the goldens for outputs of whole networks in float32.
    await expectClose(images, golden.get('image_features')!.values, 5e-5);
    await expectClose(texts, golden.get('text_features')!.values, 5e-5);
    const [image, prompt] = [await images.data(), await texts.data()];
    const row = (values: Float32Array, i: number): Float32Array => values.subarray(48 * i, 48 * (i + 1));
    const cosines = [0, 1].flatMap((i) => [0, 1].map((j) => cosineSimilarity(row(image, i), row(prompt, j))));
    await expectClose(cosines, golden.get('similarity')!.values, 5e-5);
  });

  it('comes from a folder, and scores pictures of any size with prompts of any length', async () => {
    const files = smallClipFiles();
    const clip = await loadClip(async (file) => files.get(file)!);
    const pairs = [
      { picture: noise(40, 90, 1), prompt: 'noise' },
      { picture: flat(20, 20, 200), prompt: '' },
      { picture: noise(33, 32, 2), prompt: 'a very long prompt '.repeat(50) },
    ];
    const { mean, count } = await clipScore(clip, pairs);
    const alone = [];
    for (const pair of pairs) alone.push((await clipScore(clip, [pair])).mean);
    expect(count).toBe(3);
    // One picture or several in a batch: sums in another order.
    expect(mean).toBeCloseTo(alone.reduce((sum, value) => sum + value, 0) / 3, 5);
    expect(new Set(alone.map((value) => value.toFixed(6))).size).toBe(3);
    clip.dispose();
  });

  it('says what does not fit', async () => {
    const files = smallClipFiles();
    const given = new Map(readSafetensors(files.get('model.safetensors')!));
    given.delete('visual_projection.weight');
    const broken = new Map(files).set('model.safetensors', writeSafetensors(given));
    await expect(loadClip(async (file) => broken.get(file)!)).rejects.toThrow(
      'ClipVision: weights must match the model. missing: visual_projection.weight. Check that config and weights belong together.',
    );
    expect(() => parseClipConfig({ hidden_size: 3 })).toThrow(
      'clip: config must have text_config, vision_config and a positive projection_dim. Use the config.json of a whole CLIP model.',
    );
    expect(() => parseClipConfig({ text_config: {}, vision_config: { patch_size: 15, hidden_act: 'relu' } })).toThrow(
      'clip: vision_config must be valid, got patch 15 instead of a divisor of the side; activation "relu" instead of "gelu" or "quick_gelu". Correct these fields.',
    );
    expect(() => cosineSimilarity(Float32Array.of(1), Float32Array.of(1, 2))).toThrow(
      'cosineSimilarity: vectors must have one length, got 1 and 2.',
    );
  });
});
