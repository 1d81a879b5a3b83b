import { add, hostFloats, mul, sum, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, goldenWeights, hashed, relativeError, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { ClipText, initText } from './clip.ts';
import { parseTextConfig, type TextConfig } from './config.ts';
import type { TextFeatures } from './features.ts';
import { expectParameterGradients, loadReference, type Reference } from './testing/reference.ts';

let reference: Reference;
beforeAll(async () => {
  await testDevice();
  reference = await loadReference('clip_text');
});

const goldenModel = (overrides: Record<string, unknown>): ClipText =>
  new ClipText(parseTextConfig({ ...reference.manifest.config, ...overrides }))
    .load(goldenWeights(reference.manifest))
    .freeze();

async function expectGolden(features: TextFeatures, name: string): Promise<void> {
  // Tolerance of the goldens for outputs of whole networks in float32.
  await expectClose(features.states, reference.golden.get(`${name}.last_hidden`)!.values, 5e-5);
  await expectClose(features.pooled, reference.golden.get(`${name}.pooled`)!.values, 5e-5);
}

describe('ClipText', () => {
  it.each(['gelu', 'quick_gelu'])(
    'equals the reference with padding and %s, pooled at the largest id',
    async (activation) => {
      const model = goldenModel({ hidden_act: activation, eos_token_id: 2 });
      await expectGolden(model.forward(reference.integers('ids'), reference.integers('mask')), activation);
    },
  );

  it('equals the reference without padding, pooled at the first end token', async () => {
    const model = goldenModel({ hidden_act: 'gelu', eos_token_id: 99 });
    const { shape, values } = reference.golden.get('ids')!;
    const everything = tensor(new Uint32Array(values.length).fill(1), shape, { dtype: 'u32' });
    await expectGolden(model.forward(reference.integers('ids'), everything), 'nomask');
  });

  it('sees nothing behind a token: a shorter prompt has the same first states', async () => {
    const model = initText(tiny, { seed: 1 }).freeze();
    const states = async (ids: number[]): Promise<Float32Array> => model.forward(...row(ids)).states.data();
    const [long, short] = [await states([5, 3, 7, 1, 12]), await states([5, 3, 7])];
    // The same sums in the same order, but for the blocking of longer matrices.
    expect(relativeError(long.subarray(0, 3 * tiny.width), short)).toBeLessThan(1e-6);
  });

  it('refuses more tokens than positions', () => {
    const model = initText(tiny, { seed: 1 });
    expect(() => model.forward(...row([12, 1, 1, 1, 1, 1, 1, 13]))).toThrow(
      'ClipText: tokens must number at most 7, got 8. Cut the prompts.',
    );
  });
});

describe('gradients of ClipText', () => {
  // Padding in the first prompt.
  const batch = (): [Tensor, Tensor] => [
    tensor([12, 3, 7, 13, 0, 12, 9, 13, 2, 2], [2, 5], { dtype: 'u32' }),
    tensor([1, 1, 1, 1, 0, 1, 1, 1, 1, 1], [2, 5], { dtype: 'u32' }),
  ];
  const project = ({ states, pooled }: TextFeatures): Tensor =>
    add(sum(mul(states, hashed('states', states.shape))), sum(mul(pooled, hashed('pooled', pooled.shape))));

  it.each(['gelu', 'quick_gelu'] as const)(
    'are those of central differences for every parameter, with %s',
    async (activation) => {
      const model = initText({ ...tiny, activation }, { seed: 2 });
      await expectParameterGradients(model, () => project(model.forward(...batch())));
    },
  );

  it('are taken by no parameter of a frozen model', () => {
    const model = initText(tiny, { seed: 3 }).freeze();
    expect(model.parameterCount).toBe(0);
    expect(model.forward(...batch()).states.node).toBeUndefined();
  });
});

describe('initText', () => {
  it('draws the same weights from the same seed, and others from another', async () => {
    const bytes = async (seed: number): Promise<string> =>
      JSON.stringify(
        [...(await initText(tiny, { seed }).hostWeights())].map(([name, host]) => [name, [...host.bytes]]),
      );
    expect(await bytes(5)).toBe(await bytes(5));
    expect(await bytes(5)).not.toBe(await bytes(6));
  });

  it('starts the token embedding with deviation 0.02 and states of unit variance', async () => {
    const model = initText({ ...tiny, vocabSize: 1000, width: 64, eosTokenId: 13 }, { seed: 4 }).freeze();
    const host = (await model.hostWeights()).get('text_model.embeddings.token_embedding.weight')!;
    const deviation = (values: Float32Array): number =>
      Math.sqrt(values.reduce((t, v) => t + v * v, 0) / values.length);
    // 64,000 draws: the deviation itself deviates by 0.3 percent.
    expect(deviation(hostFloats(host)) / 0.02).toBeCloseTo(1, 1);
    expect(deviation(await model.forward(...row([12, 4, 700, 13])).states.data())).toBeCloseTo(1, 2);
  });
});

const tiny: TextConfig = {
  vocabSize: 14,
  width: 8,
  mlpWidth: 12,
  layers: 2,
  heads: 2,
  positions: 7,
  activation: 'gelu',
  eosTokenId: 13,
  normEpsilon: 1e-5,
};

const row = (ids: number[]): [Tensor, Tensor] => [
  tensor(ids, [1, ids.length], { dtype: 'u32' }),
  tensor(new Uint32Array(ids.length).fill(1), [1, ids.length], { dtype: 'u32' }),
];
