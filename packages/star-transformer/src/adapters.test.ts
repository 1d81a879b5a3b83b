import { backward, noGrad, scope, type Tensor, tensor, trainableTensors } from '@star-webgpu/tensor-webgpu';
import { hashed, hashedValues, relativeError, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AdaptersConfig, adapterTargets, loadAdapters, saveAdapters, StarAdapters } from './adapters.ts';
import { starConfig } from './config.ts';
import { Star } from './star.ts';
import { maskOf } from './testing/reference.ts';

const config = starConfig({
  patchNumbers: [1, 2, 3],
  depth: 2,
  width: 64,
  heads: 2,
  textWidth: 16,
  codeWidth: 8,
  codebookSize: 24,
  dropPath: 0,
  refiner: { depth: 1, sampleFrom: 1 },
});

const all: AdaptersConfig = { rank: 3, alpha: 6, targets: adapterTargets };

let text: TextFeatures;
let input_BlZ: Tensor;

beforeAll(async () => {
  await testDevice();
  text = { states: hashed('states', [2, 5, 16]), mask: maskOf([5, 3], 5), pooled: hashed('pooled', [2, 16]) };
  input_BlZ = hashed('input', [2, 13, 8]);
});

const logits = async (star: Star): Promise<Float32Array> =>
  valuesOf(scope(() => noGrad(() => star.forward({ input_BlZ, text }))));

/** Adapters that have learnt something. */
async function learnt(star: Star, adapters: AdaptersConfig = all): Promise<StarAdapters> {
  const made = new StarAdapters(star, adapters, { seed: 2 });
  const weights = await made.hostWeights();
  for (const [name, { shape, dtype }] of weights) {
    const values = hashedValues(name, shape[0]! * shape[1]!, 0.1);
    weights.set(name, { shape, dtype, bytes: new Uint8Array(values.buffer) });
  }
  return made.load(weights);
}

describe('StarAdapters', () => {
  it('begin as nothing, and are all that learns', async () => {
    const star = new Star(config, { seed: 1 });
    const before = await logits(star);
    const adapters = new StarAdapters(star, all);
    expect(relativeError(await logits(star), before)).toBeLessThan(1e-6);
    expect([...star.namedParameters().keys()]).toEqual([]);
    const names = [...adapters.namedParameters().keys()];
    expect(names).toHaveLength(2 * 2 * adapterTargets.length);
    expect(names[0]).toBe('blocks.0.attn.mat_qkv.lora_A.weight');
    expect(names.filter((name) => name.includes('feat_extract'))).toEqual([]);
    expect(trainableTensors(star)).toHaveLength(names.length);
  });

  it('of some targets leave the others alone', () => {
    const star = new Star(config, { seed: 1 });
    const { targets } = { targets: ['attn.proj', 'ffn.fc2'] } as const;
    expect([...new StarAdapters(star, { ...all, targets }).namedParameters().keys()]).toEqual(
      [0, 1].flatMap((block) =>
        targets.flatMap((target) => ['A', 'B'].map((side) => `blocks.${block}.${target}.lora_${side}.weight`)),
      ),
    );
  });

  it('merged give what they give apart, within rounding, and come apart again bit for bit', async () => {
    const star = new Star(config, { seed: 1 });
    const plain = await logits(star);
    const adapters = await learnt(star);
    const apart = await logits(star);
    expect(relativeError(apart, plain)).toBeGreaterThan(0.05);
    await adapters.merged(async () => {
      expect(relativeError(await logits(star), apart)).toBeLessThan(1e-5);
    });
    expect(await logits(star)).toEqual(apart);
    adapters.merge();
    expect(relativeError(await logits(star), apart)).toBeLessThan(1e-5);
    expect(trainableTensors(star)).toHaveLength(0);
  });

  it('have the gradients of recomputed blocks, bit for bit, text and all', async () => {
    const star = new Star(config, { seed: 1 });
    const adapters = await learnt(star);
    const targets = tensor(
      Array.from({ length: 28 }, (_, i) => i % 24),
      [2, 14],
      { dtype: 'u32' },
    );
    const gradients = (recompute: boolean): Tensor[] =>
      scope(() => {
        const { loss } = star.loss(star.features({ input_BlZ, text, recompute }), targets);
        return backward(loss, [...adapters.namedParameters().values()]);
      });
    const [plain, again] = [gradients(false), gradients(true)];
    for (const [i, want] of plain.entries()) {
      const values = await valuesOf(want);
      expect(
        values.some((value) => value !== 0),
        `${i}`,
      ).toBe(true);
      expect(await valuesOf(again[i]!), `${i}`).toEqual(values);
    }
  });

  it('come back from their folder, under the names of the peft library', async () => {
    const star = new Star(config, { seed: 1 });
    const files = await saveAdapters(await learnt(star));
    const apart = await logits(star);
    expect(JSON.parse(new TextDecoder().decode(files.get('adapter_config.json')))).toEqual({
      peft_type: 'LORA',
      r: 3,
      lora_alpha: 6,
      target_modules: adapterTargets,
      bias: 'none',
    });
    expect(new TextDecoder().decode(files.get('adapter_model.safetensors'))).toContain(
      '"base_model.model.blocks.0.attn.mat_qkv.lora_A.weight"',
    );
    const other = new Star(config, { seed: 1 });
    await loadAdapters(other, async (name) => files.get(name)!);
    expect(await logits(other)).toEqual(apart);
    const wrong = new TextEncoder().encode('{"peft_type":"LORA","r":3,"lora_alpha":6,"target_modules":["q_proj"]}');
    await expect(loadAdapters(other, async () => wrong)).rejects.toThrow(
      /must be of kind LORA .* got LORA with q_proj\./,
    );
  });
});
