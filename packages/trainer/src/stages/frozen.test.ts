import { Star, starConfig } from '@star-webgpu/star-transformer';
import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { beforeAll, describe, expect, it } from 'vitest';
import { AdamW } from '../optimizer.ts';
import type { Stage, TrainingBatch } from '../stage.ts';
import { TrainStep } from '../step.ts';
import { captionFeatures, pictureTokens, Remembered, type TokenCache } from './frozen.ts';
import { RefinerStage } from './refiner.ts';
import { StarInputs, type StarModels } from './star-inputs.ts';
import { StarStage } from './star.ts';

beforeAll(() => testDevice());

const captions = ['red apple', 'green pear', 'a very long name of a fruit that nobody ever saw', 'plum', '苹果'];
const shared = { patchNumbers: [1, 3, 6], codeWidth: 8, codebookSize: 24 };
const pixels = 3 * 144;

const pictureOf = (i: number): Float32Array => hashedValues(`picture ${i}`, pixels);

/** Pictures of 12 x 12 pixels by their numbers, each with its caption. */
function batchOf(pictures: readonly number[], { withPixels = true } = {}): TrainingBatch {
  const images = new Float32Array(withPixels ? pictures.length * pixels : 0);
  if (withPixels) pictures.forEach((i, b) => images.set(pictureOf(i), b * pixels));
  return {
    images,
    shape: [pictures.length, 3, 12, 12],
    captions: pictures.map((i) => captions[i]!),
    keys: pictures.map((i) => `key ${i}`),
    cursor: { epoch: 0, step: 1 },
  };
}

function newModels(): Required<StarModels> & { readonly vqvae: Vqvae } {
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize: 520 }));
  const { vocabSize, endId: eosTokenId } = tokenizer;
  const sides = { layers: 1, width: 16, heads: 2, mlpWidth: 32, positions: 12, activation: 'quick_gelu' } as const;
  const sizes = { depth: 2, width: 64, heads: 2, dropPath: 0.1, textWidth: 16, refiner: { depth: 1, sampleFrom: 1 } };
  return {
    star: new Star(starConfig({ ...shared, ...sizes }), { seed: 5 }),
    text: new TextEncoder(tokenizer, initText(textConfig({ ...sides, vocabSize, eosTokenId }), { seed: 4 })),
    vqvae: new Vqvae(
      vqvaeConfig({ ...shared, channels: 4, channelMultipliers: [1, 1], normGroups: 2, residualBlocks: 1 }),
      { seed: 3 },
    ),
  };
}

/** Tokens and features of all pictures and captions, made in batches of three in another order than training has. */
async function newCache({ text, vqvae }: Required<StarModels> & { readonly vqvae: Vqvae }): Promise<TokenCache> {
  const tokens = new Map<string, Uint32Array>();
  const features = new Map<string, Awaited<ReturnType<typeof captionFeatures>>[number]>();
  for (const chosen of [
    [4, 3, 2],
    [1, 0, 4],
  ]) {
    const { keys, ...batch } = batchOf(chosen);
    (await pictureTokens(vqvae, batch)).forEach((row, b) => tokens.set(keys[b]!, row));
  }
  for (const chosen of [
    ['', captions[4]!, captions[0]!],
    [captions[1]!, captions[2]!, captions[3]!],
  ])
    (await captionFeatures(text, chosen)).forEach((one, b) => features.set(chosen[b]!, one));
  return {
    indices: (key) => tokens.get(key)!,
    text: { tokens: 12, width: 16, features: (caption) => features.get(caption)! },
  };
}

const shuffled = [
  [0, 1, 2],
  [3, 4, 0],
  [2, 1, 4],
  [3, 3, 1],
];
const options = { seed: 1, captionDropout: 0.3, labelSmoothing: 0, trainText: false };

/** The weights that learn, after a step on each batch. */
async function trained(stage: Stage, withPixels: boolean): Promise<Map<string, Uint8Array>> {
  const optimizer = new AdamW(stage.parameters());
  const step = new TrainStep(stage, optimizer);
  const numbers = { learningRate: 5e-3, weightDecay: 0.1, clipNorm: 2 };
  for (const [i, chosen] of shuffled.entries())
    await step.run([batchOf(chosen, { withPixels })], { ...numbers, step: i });
  step.dispose();
  optimizer.dispose();
  return stage.files();
}

describe('training on what frozen encoders made before', () => {
  it('reads the same batches, bit for bit, as training on pictures and captions', async () => {
    const [models, cache] = [newModels(), await newCache(newModels())];
    const { config, quantizer } = newModels().vqvae;
    const fromPictures = new StarStage(models, options);
    const fromCache = new StarStage({ star: newModels().star, vqvae: { config, quantizer } }, { ...options, cache });
    for (const [draw, chosen] of shuffled.entries())
      expect(await fromCache.inputs(batchOf(chosen, { withPixels: false }), draw)).toEqual(
        await fromPictures.inputs(batchOf(chosen), draw),
      );
  });

  it.each(['StarStage', 'RefinerStage'])('gives %s the same weights, bit for bit', async (name) => {
    const stageOf = (models: StarModels, more: { readonly cache?: TokenCache }): Stage =>
      name === 'StarStage'
        ? new StarStage(models, { ...options, ...more })
        : new RefinerStage(models, { seed: 1, captionDropout: 0.3, ...more });
    const cache = await newCache(newModels());
    const { config, quantizer } = newModels().vqvae;
    const want = await trained(stageOf(newModels(), {}), true);
    const got = await trained(stageOf({ star: newModels().star, vqvae: { config, quantizer } }, { cache }), false);
    expect([...got.keys()]).toEqual([...want.keys()]);
    for (const [file, bytes] of want) expect(got.get(file), file).toEqual(bytes);
  });

  it('takes tokens from the cache where the text encoder learns along', async () => {
    const { text: _, ...cache } = await newCache(newModels());
    const stage = new StarStage(newModels(), { ...options, trainText: true, cache });
    const { ids_BT, targets_BL } = (await stage.inputs(
      batchOf([0, 1, 2], { withPixels: false }),
      0,
    )) as unknown as Record<string, { shape: number[] }>;
    expect([ids_BT!.shape, targets_BL!.shape]).toEqual([
      [3, 12],
      [3, 46],
    ]);
  });

  it('wants what no cache has', async () => {
    const { star, text, vqvae } = newModels();
    const { text: _, ...tokens } = await newCache(newModels());
    const quantiser = { config: vqvae.config, quantizer: vqvae.quantizer };
    expect(() => new StarInputs({ star, text, vqvae: quantiser }, options)).toThrow(
      'StarInputs: vqvae must be whole where no cache is given, got its quantiser. Load all of it.',
    );
    expect(() => new StarInputs({ star, vqvae: quantiser }, { ...options, cache: tokens })).toThrow(
      'StarInputs: text must be an encoder where no cache has its features, got none. Load it.',
    );
  });
});

describe('a frozen text encoder', () => {
  it('is no parameter, and no part of what is saved', async () => {
    const models = newModels();
    const stage = new StarStage(models, options);
    expect([...stage.parameters().keys()].every((name) => name.startsWith('star.'))).toBe(true);
    expect([...(await stage.files()).keys()]).toEqual(['star/config.json', 'star/model.safetensors']);
    const along = new StarStage(newModels(), { ...options, trainText: true });
    expect([...(await along.files()).keys()]).toContain('text/model.safetensors');
  });

  it('gives states of the words and zeros behind them', async () => {
    const models = newModels();
    const { states_BTD, mask_BT } = (await new StarStage(models, { ...options, captionDropout: 0 }).inputs(
      batchOf([3, 0, 1]),
      0,
    )) as unknown as Record<string, { values: Float32Array }>;
    const { states, mask } = models.text.encode([captions[3]!, captions[0]!, captions[1]!]);
    const [all, real] = [await states.data(), await mask.hostData()];
    expect([...mask_BT!.values]).toEqual([...real]);
    expect([...states_BTD!.values]).toEqual([...all].map((value, i) => (real[Math.floor(i / 16)] ? value : 0)));
  });
});

describe('Remembered', () => {
  it('forgets what it has once there is too much, but never the batch at hand', () => {
    const remembered = new Remembered<{ readonly values: Float32Array }>(100);
    const named = (name: string): readonly [string, { values: Float32Array }] => [
      name,
      { values: new Float32Array(10) },
    ];
    remembered.keep([named('a'), named('b')]);
    expect(remembered.get('a')).toBeDefined();
    remembered.keep([named('c'), named('d'), named('e')]);
    expect([remembered.get('a'), remembered.get('b')]).toEqual([undefined, undefined]);
    expect(['c', 'd', 'e'].every((name) => remembered.get(name))).toBe(true);
  });
});
