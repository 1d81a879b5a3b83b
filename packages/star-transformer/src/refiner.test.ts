import { beforeAll, describe, expect, it } from 'vitest';
import { backward, embedding, slice, tensor, type Tensor, withPrecision } from '@star-webgpu/tensor-webgpu';
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
import { publishedRefiner, type StarConfig, starConfig } from './config.ts';
import { openCodes, type Refiner, type RefinerContext } from './refiner.ts';
import { Star } from './star.ts';
import { golden, maskOf, referenceConfig as plain } from './testing/reference.ts';
import { loadStar, saveStar } from './weights.ts';

const config: StarConfig = starConfig({ ...plain, refiner: { depth: 3, sampleFrom: 2 } });

let numbers: Map<string, GoldenTensor>;
let star: Star;
let refiner: Refiner;
/** Tokens of the two last scales, 1 where they are fixed. [2, 80] */
let fixed: readonly number[];
let tokens: readonly number[];
let context: RefinerContext;
let codes_BlZ: Tensor;
let targets: Tensor;

/** Code vectors of fixed tokens, zeros for the others. */
function codesOf(codebook_VZ: Tensor): Tensor {
  const known = tokens.map((token, i) => (fixed[i] ? token : 64));
  return embedding(openCodes(codebook_VZ), tensor(known, [2, 80], { dtype: 'u32' }));
}

beforeAll(async () => {
  await testDevice();
  const manifest = await loadGoldenJson<Manifest>(golden('star_manifest.json'));
  numbers = await loadGolden(golden('star.safetensors'));
  star = new Star(config).load(goldenWeights(manifest));
  refiner = star.refiner!;
  const pooled_BD = hashed('pool', [2, 32], 0.5);
  const text = { states: hashed('text', [2, 7, 32]), mask: maskOf([7, 4]), pooled: pooled_BD };
  const features_BLC = star.features({ input_BlZ: tensor(numbers.get('var_input')!.values, [2, 84, 8]), text });
  fixed = [...numbers.get('sampler_mask')!.values];
  tokens = [0, 1].flatMap((b) => [...numbers.get('gt')!.values].slice(85 * b + 5, 85 * b + 85));
  targets = tensor(
    tokens.map((token, i) => (fixed[i] ? 64 : token)),
    [2, 80],
    { dtype: 'u32' },
  );
  const codebook = hashed('starq/embedding.weight', [64, 8]);
  context = { features_BlC: slice(features_BLC, 1, 5, 85), pooled_BD };
  codes_BlZ = codesOf(codebook);
});

/** Hidden states of all refined scales. */
const hiddenOf = (own: Refiner): Tensor => own.features(own.beginAll(context), codes_BlZ);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

describe('the published numbers of the refiner', () => {
  it('logits, each scale apart, given the tokens that are fixed', async () => {
    await expectClose(refiner.logits(hiddenOf(refiner)), numbers.get('sampler_logits')!.values, 5e-5);
  });

  it('logits with halves in the products, within half precision', async () => {
    const logits_BlV = withPrecision('f16', () => refiner.logits(hiddenOf(refiner)));
    // goldens.md: float16 paths come within 5e-3 of float32
    await expectClose(logits_BlV, numbers.get('sampler_logits')!.values, 5e-3);
  });

  it('the loss over open tokens', async () => {
    await expectClose(refiner.loss(hiddenOf(refiner), targets).loss, numbers.get('sampler_loss')!.values, 1e-5);
  });

  it('gradients of the loss for every weight of the refiner', async () => {
    const grads = await loadGoldenJson<Record<string, readonly [norm: number, first: readonly number[]]>>(
      golden('sampler_grads.json'),
    );
    const parameters = refiner.namedParameters();
    const found = backward(refiner.loss(hiddenOf(refiner), targets).loss, [...parameters.values()]);
    expect([...parameters.keys()].toSorted()).toEqual(Object.keys(grads).toSorted());
    for (const [i, name] of [...parameters.keys()].entries()) {
      const values = await found[i]!.data();
      const [norm, first] = grads[name]!;
      expect(Math.abs(Math.hypot(...values) / norm - 1), name).toBeLessThan(1e-4);
      // Single elements are sums of many cancelling terms: within 1e-4 of the larger of the element and five typical ones.
      const typical = (5 * norm) / Math.sqrt(values.length);
      for (const [k, value] of first.entries())
        expect(Math.abs(values[k]! - value), name).toBeLessThan(1e-4 * Math.max(typical, Math.abs(value)));
    }
  });
});

describe('Refiner', () => {
  it('gives at one scale what it gives there among all, where the leading token has no say', async () => {
    // From the second block on the leading token has seen one scale here and all of them there, as published; one block does not feel it.
    const shallow = new Star(starConfig({ ...plain, refiner: { depth: 1, sampleFrom: 2 } }), { seed: 4 });
    const all_BlV = shallow.refiner!.logits(hiddenOf(shallow.refiner!));
    for (const [scale, from, to] of [
      [2, 0, 16],
      [3, 16, 80],
    ] as const) {
      const rows = (x: Tensor): Tensor => slice(x, 1, from, to);
      const state = shallow.refiner!.begin(scale, { ...context, features_BlC: rows(context.features_BlC) });
      const alone_BlV = shallow.refiner!.logits(shallow.refiner!.features(state, rows(codes_BlZ)));
      // Other tiles sum in another order.
      await expectClose(alone_BlV, rows(all_BlV), 1e-5);
    }
    shallow.dispose();
  });

  it('counts the right codes among open tokens only', async () => {
    const logits = await refiner.logits(hiddenOf(refiner)).data();
    const best = tokens.map((_, i) => {
      const row = [...logits.subarray(64 * i, 64 * i + 64)];
      return row.indexOf(Math.max(...row));
    });
    const [half, all] = [tokens.map((token, i) => (i % 2 ? token : best[i]!)), best].map((wanted) =>
      tensor(
        wanted.map((token, i) => (fixed[i] ? 64 : token)),
        [2, 80],
        { dtype: 'u32' },
      ),
    ) as [Tensor, Tensor];
    const hidden_BlC = hiddenOf(refiner);
    expect(await refiner.loss(hidden_BlC, all).accuracy.item()).toBe(1);
    const open = tokens.map((_, i) => i).filter((i) => !fixed[i]);
    const right = open.filter((i) => i % 2 === 0 || tokens[i] === best[i]);
    const { loss, openCost, accuracy } = refiner.loss(hidden_BlC, half);
    expect(await accuracy.item()).toBeCloseTo(right.length / open.length, 6);
    // A fixed token costs log(64 zeros and an exp(10)) - 10.
    const fixedCost = Math.log(64 + Math.exp(10)) - 10;
    const whole = (await openCost.item()) * open.length + fixedCost * (160 - open.length);
    expect(await loss.item()).toBeCloseTo(whole / (2 * 85), 5);
  });

  it('leaves all other weights of a new model as they are without it', async () => {
    const [without, having] = [new Star(plain, { seed: 9 }), new Star(config, { seed: 9 })];
    const [before, after] = [await without.hostWeights(), await having.hostWeights()];
    for (const [name, { bytes }] of before) expect(sameBytes(after.get(name)!.bytes, bytes), name).toBe(true);
    expect([...after.keys()].filter((name) => !before.has(name))).toEqual([...having.refiner!.namedTensors().keys()]);
    expect(without.refiner).toBeUndefined();
    expect([...(await saveStar(without)).keys()]).toEqual(['config.json', 'model.safetensors']);
    for (const one of [without, having]) one.dispose();
  });

  it('comes back from its folder with the transformer, in f32 exactly', async () => {
    const files = await saveStar(star);
    const again = await loadStar(async (name) => files.get(name)!);
    const logits = again.refiner!.logits(hiddenOf(again.refiner!));
    await expectClose(logits, await refiner.logits(hiddenOf(refiner)).data(), 0);
    again.dispose();
  });

  it('is added to a model that has none, by the seed, and left alone in one that has it', async () => {
    const [without, having] = [new Star(plain, { seed: 9 }), new Star(config, { seed: 9 })];
    const [few, all] = [await saveStar(without), await saveStar(having)];
    const options = { addRefiner: config.refiner!, seed: 9 };
    for (const files of [few, all]) {
      const loaded = await loadStar(async (name) => files.get(name)!, options);
      const saved = await saveStar(loaded);
      expect(sameBytes(saved.get('model.safetensors')!, all.get('model.safetensors')!)).toBe(true);
      loaded.dispose();
    }
    for (const one of [without, having]) one.dispose();
  });

  it('is refused by a transformer without one, and missed by one with it, by the names of its weights', async () => {
    const [without, having] = [new Star(plain), new Star(config)];
    const [some, all] = [await without.hostWeights(), await having.hostWeights()];
    expect(() => without.load(all)).toThrow(/unexpected: pos_start_last, lvl_embed_2.weight, word_embed_head.weight/);
    expect(() => having.load(some)).toThrow(/missing: pos_start_last, lvl_embed_2.weight, word_embed_head.weight/);
    for (const one of [without, having]) one.dispose();
  });

  it('adds the published number of parameters', () => {
    const [C, T, Z, V, S] = [1920, 1024, 32, 4096, 14];
    const block = 3 * C * C + 2 * C + 30 + C * C + C + 8 * C * C + 5 * C;
    const rest = C + (Z + 1) * C + S * C + (T + 1) * C + (2 * C + 1) * C + (C + 1) * V;
    expect((publishedRefiner.depth * block + rest) / 1e6).toBeCloseTo(150, -1);
  });

  it('takes scales that are not square, as many tokens as their maps have', async () => {
    const latent = { height: 6, width: 10 };
    // Maps of 3 x 5 and 6 x 10 tokens, behind 1 + 2 x 3.
    expect(refiner.firstToken(latent)).toBe(1 + 2 * 3);
    const features_BlC = hashed('features', [2, 75, 128]);
    const state = refiner.beginAll({ ...context, latent, features_BlC });
    const hidden_BlC = refiner.features(state, hashed('codes', [2, 75, 8]));
    const last = refiner.begin(3, { ...context, latent, features_BlC: slice(features_BlC, 1, 15, 75) });
    expect(hidden_BlC.shape).toEqual([2, 75, 128]);
    expect(last.positions.rope_ld2.shape).toEqual([61, 32, 2]);
    const rows = tensor(tokens.slice(0, 150), [2, 75], { dtype: 'u32' });
    const { loss } = refiner.loss(hidden_BlC, rows, latent);
    const mean = refiner.loss(slice(hidden_BlC, 1, 0, 80 - 5), rows).loss;
    expect((await loss.item()) / (await mean.item())).toBeCloseTo(85 / 82, 5);
  });

  it('refuses a config with its fault named', () => {
    expect(() => starConfig({ ...plain, refiner: { depth: 3, sampleFrom: 4 } })).toThrow(
      'star: config must be valid, got refiner {"depth":3,"sampleFrom":4} instead of a depth from 1 and the index of a scale to sample from. Correct these fields.',
    );
  });
});
