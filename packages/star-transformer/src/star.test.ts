import { beforeAll, describe, expect, it } from 'vitest';
import {
  backward,
  concat,
  crossEntropy,
  hostFloats,
  hostTensor,
  mean,
  mul,
  noGrad,
  plan,
  reshape,
  scope,
  slice,
  type Tensor,
  tensor,
  withParameters,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import {
  describeHalves,
  expectClose,
  goldenWeights,
  type GoldenTensor,
  gradcheck,
  hashed,
  loadGolden,
  loadGoldenJson,
  type Manifest,
  relativeError,
  testDevice,
  valuesOf,
  withLimits,
} from '@star-webgpu/tensor-webgpu/testing';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { latentSize, type MapSize, ratios, tokenCount, tokenMaps, tokenOffsets } from '@star-webgpu/vqvae/scales';
import { type StarConfig, starConfig, type StarPreset, starPresets } from './config.ts';
import { disposeCache } from './kv-cache.ts';
import { ropeAngles, ropeTable } from './rope.ts';
import { golden, maskOf, referenceConfig as config } from './testing/reference.ts';
import { Star, type StarInput, type StepResult } from './star.ts';
import type { WatchedText } from './watch.ts';
import { loadStar, saveStar } from './weights.ts';

/** Weights of the refiner, which is a model of its own here. */
const refinerNames =
  /^(pos_start_last|word_embed_head|feat_extract_blocks|head_logits2|encoder_proj2|head_proj|lvl_embed_2)/;

let manifest: Manifest;
let numbers: Map<string, GoldenTensor>;
let star: Star;
let text: TextFeatures;
let input_BlZ: Tensor;
let targets: Tensor;

/** The model of the published numbers, with either cross-attention. */
const hashedStar = (crossAttention: StarConfig['crossAttention']): Star => {
  const weights = goldenWeights(manifest, (name) => !refinerNames.test(name));
  return new Star({ ...config, crossAttention }).load(weights);
};

beforeAll(async () => {
  await testDevice();
  manifest = await loadGoldenJson<Manifest>(golden('star_manifest.json'));
  numbers = await loadGolden(golden('star.safetensors'));
  star = hashedStar('per-sample');
  ({ text, input_BlZ } = inputsOf());
  targets = tensor(numbers.get('gt')!.values, [170], { dtype: 'u32' });
});

type Words = StarInput & { readonly input_BlZ: Tensor };

/** Text and tokens of the published numbers, on the current device. */
const inputsOf = (): Words => ({
  text: { states: hashed('text', [2, 7, 32]), mask: maskOf([7, 4], 7), pooled: hashed('pool', [2, 32], 0.5) },
  input_BlZ: tensor(numbers.get('var_input')!.values, [2, 84, 8]),
});

const lossOf = (logits_BLV: Tensor, labelSmoothing = 0): Tensor =>
  mean(crossEntropy(reshape(logits_BLV, [170, 64]), targets, { labelSmoothing }));

describe('the published numbers', () => {
  it('rotations equal the published rows at every scale', async () => {
    const rows = await loadGolden(golden('rope.safetensors'));
    for (const [name, { values }] of rows) {
      const [side, row, kind] = name.split('.') as [string, string, 'cos' | 'sin'];
      const angles = ropeAngles({ height: Number(side), width: Number(side) }, 64).subarray(
        Number(row) * 32,
        Number(row) * 32 + 32,
      );
      expect(relativeError(Array.from(angles, Math[kind]), values)).toBeLessThan(1e-5);
    }
    const table = ropeTable(tokenMaps(config.patchNumbers), 64);
    for (const [i, kind] of ['cos', 'sin'].entries())
      await expectClose(reshape(slice(table, 2, i, i + 1), [85, 32]), numbers.get(`rope_${kind}`)!.values, 1e-5);
  });

  it('features and logits, each element with its own text', async () => {
    const features = star.features({ input_BlZ, text });
    await expectClose(features, numbers.get('features')!.values, 5e-5);
    await expectClose(star.logits(features), numbers.get('logits')!.values, 5e-5);
  });

  it('logits where every element takes the first one’s cross-attention', async () => {
    const quirky = hashedStar('first-sample');
    await expectClose(quirky.forward({ input_BlZ, text }), numbers.get('logits_first_sample_cross')!.values, 5e-5);
    quirky.dispose();
  });

  it('the loss, with and without label smoothing', async () => {
    const logits_BLV = star.forward({ input_BlZ, text });
    await expectClose(lossOf(logits_BLV), numbers.get('loss')!.values, 1e-5);
    await expectClose(lossOf(logits_BLV, 0.1), numbers.get('loss_ls0.1')!.values, 1e-5);
  });

  it('the loss without all logits at once is the same', async () => {
    const features_BLC = star.features({ input_BlZ, text });
    const { loss, hits } = star.loss(features_BLC, reshape(targets, [2, 85]));
    await expectClose(loss, numbers.get('loss')!.values, 1e-5);
    await expectClose(
      star.loss(features_BLC, reshape(targets, [2, 85]), 0.1).loss,
      numbers.get('loss_ls0.1')!.values,
      1e-5,
    );
    expect(hits.shape).toEqual([170]);
  });

  it('the gradient of every parameter', async () => {
    const wanted = await loadGoldenJson<Record<string, [number, number[]]>>(golden('star_grads.json'));
    const parameters = star.namedParameters();
    expect([...parameters.keys()].toSorted()).toEqual(Object.keys(wanted).toSorted());
    const gradients = scope(() => backward(lossOf(star.forward({ input_BlZ, text })), [...parameters.values()]));
    for (const [i, name] of [...parameters.keys()].entries()) {
      const values = await gradients[i]!.data();
      const [norm, first] = wanted[name]!;
      expect(Math.abs(Math.hypot(...values) - norm) / norm, name).toBeLessThan(1e-4);
      // four values are few: their error is taken against the tensor's root mean square too
      const typical = norm / Math.sqrt(values.length);
      for (const [k, value] of first.entries())
        expect(Math.abs(values[k]! - value), name).toBeLessThan(1e-4 * Math.max(typical, Math.abs(value)) * 5);
    }
  });
});

/** Logits of all scales, one after the other with a cache. */
function steppedLogits(model: Star = star, words: Words = { input_BlZ, text }): Tensor {
  const offsets = tokenOffsets(config.patchNumbers);
  const cache = model.startCache(words.text);
  const steps = offsets.slice(0, -1).map((start, scale) => {
    const given = scale ? slice(words.input_BlZ, 1, start - 1, offsets[scale + 1]! - 1) : undefined;
    return model.step(cache, scale, { input_BlZ: given }).logits_BlV;
  });
  disposeCache(cache);
  return concat(steps, 1);
}

describe('sampling', () => {
  it('steps over scales with a cache give the logits of the masked forward pass', async () => {
    // keys are summed in another order
    await expectClose(steppedLogits(), star.forward({ input_BlZ, text }), 1e-5);
  });
});

describe('watched words', () => {
  /** Every real token, the second, none: for each of two texts. */
  const words_BWT = (): Tensor => {
    const T = text.mask.shape[1]!;
    const rows = [
      new Array<number>(T).fill(1),
      [0, 1, ...new Array<number>(T - 2).fill(0)],
      new Array<number>(T).fill(0),
    ];
    return tensor([...rows, ...rows].flat(2), [2, 3, T]);
  };

  /** Watched shares of the second scale, and its logits. */
  function second(model: Star, watched?: WatchedText): StepResult {
    const cache = model.startCache(text);
    model.step(cache, 0);
    return model.step(cache, 1, { input_BlZ: slice(input_BlZ, 1, 0, 4), watched });
  }

  it('get all of the attention together, none for no token, and leave the logits alone', async () => {
    const { watched_BlW, logits_BlV } = second(star, { words_BWT: words_BWT() });
    expect(watched_BlW!.shape).toEqual([2, 4, 3]);
    const shares = await valuesOf(watched_BlW!);
    for (let at = 0; at < shares.length; at += 3) {
      expect(Math.abs(shares[at]! - 1)).toBeLessThan(1e-5);
      expect(shares[at + 1]).toBeGreaterThan(0);
      expect(shares[at + 1]).toBeLessThan(1);
      expect(shares[at + 2]).toBe(0);
    }
    await expectClose(logits_BlV, second(star).logits_BlV, 0);
  });

  it('are averaged over the blocks and heads that are asked for', async () => {
    const of = async (choice: Pick<WatchedText, 'blocks' | 'heads'>): Promise<Float32Array> =>
      Float32Array.from(await valuesOf(second(star, { words_BWT: words_BWT(), ...choice }).watched_BlW!));
    const single: Float32Array[] = [];
    for (const block of [0, 2]) for (const head of [0, 1]) single.push(await of({ blocks: [block], heads: [head] }));
    expect(new Set(single.map(String)).size).toBe(4);
    const mean = single[0]!.map((_, i) => single.reduce((sum, shares) => sum + shares[i]! / 4, 0));
    await expectClose(tensor(await of({ blocks: [0, 2] }), [24]), mean, 1e-6);
  });

  it('are those of the first element for all where its text is used for all', async () => {
    const quirk = hashedStar('first-sample');
    const shares = [...(await valuesOf(second(quirk, { words_BWT: words_BWT() }).watched_BlW!))];
    expect(shares.slice(12)).toEqual(shares.slice(0, 12));
    quirk.dispose();
  });
});

// goldens.md: float16 paths come within 5e-3 of float32
describeHalves('in half precision', () => {
  it('logits, masked and in steps with a cache, come within half precision of the published ones', async () => {
    const { masked, stepped } = withPrecision('f16', () => ({
      masked: star.forward({ input_BlZ, text }),
      stepped: steppedLogits(),
    }));
    expect([masked.dtype, stepped.dtype]).toEqual(['f32', 'f32']);
    await expectClose(masked, numbers.get('logits')!.values, 5e-3);
    await expectClose(stepped, numbers.get('logits')!.values, 5e-3);
  });

  it('so do those of a model whose matrices are halves on the device', async () => {
    const halves = withParameters({ dtype: 'f16' }, () => hashedStar('per-sample')).freeze();
    const types = new Map([...halves.namedTensors()].map(([name, { dtype }]) => [name, dtype]));
    expect([types.get('blocks.0.ffn.fc1.weight'), types.get('blocks.0.ffn.fc1.bias')]).toEqual(['f16', 'f32']);
    const { masked, stepped } = withPrecision('f16', () => ({
      masked: halves.forward({ input_BlZ, text }),
      stepped: steppedLogits(halves),
    }));
    expect([masked.dtype, stepped.dtype]).toEqual(['f32', 'f32']);
    await expectClose(masked, numbers.get('logits')!.values, 5e-3);
    await expectClose(stepped, numbers.get('logits')!.values, 5e-3);
    halves.dispose();
  });
});

describe('within bindings that hold neither the larger matrices, nor a scale’s activations, nor a batch element’s keys', () => {
  it('logits of steps with a cache equal the published ones', async () => {
    const stepped = await withLimits({ binding: 32_768 }, async () => {
      const [mine, words] = [hashedStar('per-sample').freeze(), inputsOf()];
      return valuesOf(scope(() => noGrad(() => steppedLogits(mine, words))));
    });
    expect(relativeError(stepped, numbers.get('logits')!.values)).toBeLessThan(5e-5);
  });
});

describe('latent maps that are not square', () => {
  const [patchNumbers, d] = [config.patchNumbers, 64];

  it.each(ratios)('steps over scales give the logits of the masked forward pass: %s', async (ratio) => {
    const latent = latentSize(patchNumbers, ratio);
    const offsets = tokenOffsets(patchNumbers, latent);
    const given_BlZ = hashed(ratio, [2, offsets.at(-1)! - 1, 8]);
    const wanted = star.forward({ input_BlZ: given_BlZ, text, latent });
    const cache = star.startCache(text, latent);
    const steps = patchNumbers.map((_, scale) => {
      const input = scale ? slice(given_BlZ, 1, offsets[scale]! - 1, offsets[scale + 1]! - 1) : undefined;
      return star.step(cache, scale, { input_BlZ: input }).logits_BlV;
    });
    // keys are summed in another order
    await expectClose(concat(steps, 1), wanted, 1e-5);
    disposeCache(cache);
  });

  it('span the same coordinates as square ones: corners and the middle are at the same places', () => {
    const at = (height: number, width: number, row: number, column: number): number[] => {
      const token = row * width + column;
      return [...ropeAngles({ height, width }, d).subarray((token * d) / 2, ((token + 1) * d) / 2)];
    };
    expect(at(5, 9, 4, 0)).toEqual(at(5, 5, 4, 0));
    expect(at(5, 9, 4, 8)).toEqual(at(3, 3, 2, 2));
    expect(at(5, 9, 2, 4)).toEqual(at(3, 3, 1, 1));
    // a single row is the first
    expect(at(1, 3, 0, 2)).toEqual(at(3, 3, 0, 2));
  });

  it('with as many tokens give other logits: places count, not the sequence alone', async () => {
    const [wide, tall] = (['16:9', '9:16'] as const).map((ratio) => latentSize(patchNumbers, ratio)) as [
      MapSize,
      MapSize,
    ];
    expect(tokenCount(patchNumbers, wide)).toBe(tokenCount(patchNumbers, tall));
    const given = hashed('wide', [2, tokenCount(patchNumbers, wide) - 1, 8]);
    const [a, b] = [wide, tall].map((latent) => star.forward({ input_BlZ: given, text, latent })) as [Tensor, Tensor];
    expect(relativeError(await a.data(), await b.data())).toBeGreaterThan(1e-3);
  });

  it('have numerical gradients', async () => {
    const latent = latentSize([1, 2], '16:9');
    const small = new Star({ ...config, patchNumbers: [1, 2], depth: 1, width: 16, codebookSize: 8 }, { seed: 2 });
    const given = hashed('small', [2, tokenCount([1, 2], latent) - 1, 8]);
    expect(given.shape).toEqual([2, 6, 8]);
    await gradcheck((input_BlZ) => small.features({ input_BlZ: input_BlZ!, text, latent }), [given]);
    small.dispose();
  });
});

describe('a model', () => {
  it('comes back from its folder as it was, in f32 exactly', async () => {
    const files = await saveStar(star);
    const again = await loadStar(async (name) => files.get(name)!);
    await expectClose(again.forward({ input_BlZ, text }), star.forward({ input_BlZ, text }), 0);
    again.dispose();
  });

  it('goes on at another size with all its weights: the scales that both have are embedded as they were', async () => {
    const files = await saveStar(star);
    const readFile = async (name: string): Promise<Uint8Array> => files.get(name)!;
    const patchNumbers = [1, 2, 4, 8, 12];
    const grown = await loadStar(readFile, { changes: { patchNumbers, dropPath: 0.1 }, seed: 5 });
    expect(grown.config).toEqual({ ...star.config, patchNumbers, dropPath: 0.1 });
    const [before, after] = [await star.hostWeights(), await grown.hostWeights()];
    const [old, table] = [hostFloats(before.get('lvl_embed.weight')!), hostFloats(after.get('lvl_embed.weight')!)];
    expect(table.subarray(0, old.length)).toEqual(old);
    const fresh = table.subarray(old.length);
    expect(fresh.length).toBe(128);
    // drawn with variance 1/(3C), 128 of them: within a fifth, to four standard errors
    expect(Math.abs(Math.hypot(...fresh) / Math.sqrt(128 / (3 * 128)) - 1)).toBeLessThan(0.25);
    for (const [name, { bytes }] of before)
      if (name !== 'lvl_embed.weight') expect(Buffer.compare(after.get(name)!.bytes, bytes), name).toBe(0);
    // the coarser scales have the same rotations and see nothing of the new one
    const first = await valuesOf(grown.features({ input_BlZ, text }));
    expect(relativeError(first, await valuesOf(star.features({ input_BlZ, text })))).toBeLessThan(1e-6);
    grown.dispose();
    const fewer = await loadStar(readFile, { changes: { patchNumbers: [1, 2, 4] } });
    expect(hostFloats((await fewer.hostWeights()).get('lvl_embed.weight')!)).toEqual(old.subarray(0, 3 * 128));
    fewer.dispose();
  });

  it('names every tensor that does not fit', async () => {
    const weights = await star.hostWeights();
    weights.delete('pos_start');
    weights.set('extra', hostTensor(Float32Array.of(1), [1]));
    weights.set('word_embed.bias', hostTensor(Float32Array.of(1, 2), [2]));
    expect(() => star.load(weights)).toThrow(
      'Star: weights must match the model. missing: pos_start; unexpected: extra; misshapen: word_embed.bias ([2] instead of [128]). Check that config and weights belong together.',
    );
  });

  it('starts with small logits, and with other weights from another seed', async () => {
    const fresh = new Star(config, { seed: 3 });
    const other = new Star(config, { seed: 4 });
    const loss = await lossOf(fresh.forward({ input_BlZ, text })).item();
    expect(Math.abs(loss - Math.log(64))).toBeLessThan(0.05);
    expect(await relativeDifference(fresh, other)).toBeGreaterThan(0.5);
    fresh.dispose();
    other.dispose();
  });

  it('drops whole branches at the given rate, by the seed', async () => {
    const dropping = new Star({ ...config, dropPath: 0.5 }, { seed: 3 });
    const [a, b, c] = [1, 1, 2].map((dropPathSeed) => dropping.features({ input_BlZ, text, dropPathSeed })) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    await expectClose(a, b, 0);
    expect(relativeError(await a.data(), await c.data())).toBeGreaterThan(1e-3);
    dropping.dispose();
  });

  it.each([
    ['star-256-d16', 275],
    ['star-256-d30', 1680],
    ['star-512-d30-per-sample', 1680],
    ['star-1024-d30', 1680],
  ] as const)('%s has about %i million parameters', (name, millions) => {
    const { star } = unfilled(name);
    expect(Math.abs(star.parameterCount / 1e6 - millions)).toBeLessThan(0.01 * millions);
  });

  it('star-1024-d30-refiner has about 150 million parameters in its refiner', () => {
    const { star } = unfilled('star-1024-d30-refiner');
    expect(Math.abs(star.refiner!.parameterCount / 1e6 - 150)).toBeLessThan(10);
  });

  it('has presets of the released weights, and the same for a new training', () => {
    for (const [name, preset] of Object.entries(starPresets)) {
      expect(starConfig(preset), name).toEqual(preset);
      expect(preset.crossAttention).toBe(name.endsWith('-per-sample') ? 'per-sample' : 'first-sample');
    }
    expect(Object.keys(starPresets)).toContain('star-1024-d30-refiner-per-sample');
  });

  it('has the published number of parameters', () => {
    const { depth, width, textWidth, codebookSize, codeWidth, patchNumbers } = starPresets['star-256-d16'];
    const block =
      3 * width * width +
      2 * width +
      depth +
      width * width +
      width +
      (2 * width * width + 3 * width + depth + 2 * width * textWidth) +
      8 * width * width +
      5 * width;
    const rest =
      width * (1 + patchNumbers.length) +
      (codeWidth + 1) * width +
      (textWidth + 1) * width +
      (width + 1) * codebookSize;
    expect((depth * block + rest) / 1e6).toBeCloseTo(275, -1);
  });

  it('refuses a config with every fault named', () => {
    expect(() => starConfig({ ...config, depth: 0, heads: 3, patchNumbers: [2, 1] })).toThrow(
      'star: config must be valid, got patchNumbers [2,1] instead of a rising list of positive integers; depth 0 instead of a positive integer; heads 3 instead of a divisor of the width that leaves a multiple of 4. Correct these fields.',
    );
  });
});

/** A model of a published size that takes no memory on the device: its buffers are only promised. */
const unfilled = (name: StarPreset): { star: Star } =>
  plan(() => withParameters({ values: 'none' }, () => ({ star: new Star(starPresets[name]) }))).result;

async function relativeDifference(a: Star, b: Star): Promise<number> {
  const [x, y] = [a, b].map((model) => mul(model.namedParameters().get('word_embed.weight')!, 1)) as [Tensor, Tensor];
  return relativeError(await x.data(), await y.data());
}
