import { hostTensor, readSafetensors, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { initText } from './clip.ts';
import { TextEncoder } from './encoder.ts';
import { Tokenizer } from './tokenizer.ts';
import type { ReadFile } from '@star-webgpu/tensor-webgpu';
import { loadTextEncoder, saveTextEncoder } from './weights.ts';

const tokenizer = new Tokenizer(trainBpe(['red apple', 'red apple'], { vocabSize: 520 }));
const sizes = { vocabSize: 520, width: 16, mlpWidth: 24, layers: 1, heads: 2, positions: 7 };
const encoderOf = (eosTokenId = tokenizer.endId): TextEncoder =>
  new TextEncoder(tokenizer, initText({ ...sizes, eosTokenId }, { seed: 1 }));

const readFrom =
  (files: ReadonlyMap<string, Uint8Array>): ReadFile =>
  async (name) => {
    const bytes = files.get(name);
    if (!bytes) throw new Error(`no ${name}`);
    return bytes;
  };
const json = (value: unknown): Uint8Array => new globalThis.TextEncoder().encode(JSON.stringify(value));

beforeAll(async () => void (await testDevice()));

describe('TextEncoder', () => {
  it('gives states, mask and pooled vectors for any prompts', async () => {
    const { states, mask, pooled } = encoderOf().encode(['red apple', '', '红苹果 🍎 '.repeat(9)]);
    expect([states.shape, mask.shape, pooled.shape]).toEqual([
      [3, 7, 16],
      [3, 7],
      [3, 16],
    ]);
    expect([...(await mask.data())]).toEqual([1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    expect((await states.data()).every(Number.isFinite)).toBe(true);
  });

  it('pools the state at the end token, by its id and by the largest id alike', async () => {
    const [byId, byLargest] = [encoderOf(), encoderOf(2)].map((encoder) => encoder.encode(['red apple', '']));
    const states = await byId!.states.data();
    const pooled = [...(await byId!.pooled.data())];
    expect(pooled).toEqual([...states.slice(3 * 16, 4 * 16), ...states.slice(8 * 16, 9 * 16)]);
    expect([...(await byLargest!.pooled.data())]).toEqual(pooled);
  });

  it('gives a prompt the same features alone and in a batch', async () => {
    const encoder = encoderOf();
    const alone = await encoder.encode(['red apple']).pooled.data();
    const together = await encoder.encode(['something else', 'red apple']).pooled.data();
    alone.forEach((value, i) => expect(together[16 + i]).toBeCloseTo(value, 5));
  });

  it('refuses a tokenizer of another model', () => {
    expect(() => new TextEncoder(tokenizer, initText({ ...sizes, vocabSize: 514 }, { seed: 1 }))).toThrow(
      "TextEncoder: tokenizer must have at most the model's 514 tokens, got 520. Use the tokenizer of this model.",
    );
    expect(() => encoderOf(7)).toThrow(
      "TextEncoder: eosTokenId must be the tokenizer's end token 519, got 7. Set it in the config.",
    );
  });
});

describe('a folder', () => {
  it('gives back the encoder that was saved, frozen unless asked otherwise', async () => {
    const saved = encoderOf();
    const files = await saveTextEncoder(saved);
    expect([...files.keys()]).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    const loaded = await loadTextEncoder(readFrom(files));
    expect([loaded.model.config, loaded.model.parameterCount]).toEqual([saved.model.config, 0]);
    const states = async (encoder: TextEncoder): Promise<number[]> => [
      ...(await encoder.encode(['red apple']).states.data()),
    ];
    expect(await states(loaded)).toEqual(await states(saved));
    const trainable = await loadTextEncoder(readFrom(files), { trainable: true });
    expect(trainable.model.parameterCount).toBe(saved.model.parameterCount);
  });

  it('keeps the padding, halves its size in F16, and may hold what other programs add', async () => {
    const padded = new TextEncoder(new Tokenizer(tokenizer.json, { padId: 0 }), encoderOf().model);
    const files = await saveTextEncoder(padded, { dtype: 'F16' });
    const weights = new Map(readSafetensors(files.get('model.safetensors')!));
    expect([...weights.values()].every(({ dtype }) => dtype === 'F16')).toBe(true);
    weights.set('text_model.embeddings.position_ids', { dtype: 'I64', shape: [1], bytes: new Uint8Array(8) });
    const loaded = await loadTextEncoder(
      readFrom(new Map([...files, ['model.safetensors', writeSafetensors(weights)]])),
    );
    expect(loaded.tokenizer.padId).toBe(0);
  });

  it('names every missing, unexpected and misshapen tensor', async () => {
    const files = await saveTextEncoder(encoderOf());
    const weights = new Map(readSafetensors(files.get('model.safetensors')!));
    weights.delete('text_model.final_layer_norm.bias');
    weights.set('stranger', hostTensor(new Float32Array(2), [2]));
    weights.set('text_model.final_layer_norm.weight', hostTensor(new Float32Array(3), [3]));
    const broken = new Map([...files, ['model.safetensors', writeSafetensors(weights)] as const]);
    await expect(loadTextEncoder(readFrom(broken))).rejects.toThrow(
      'ClipText: weights must match the model. missing: text_model.final_layer_norm.bias; unexpected: stranger; ' +
        'misshapen: text_model.final_layer_norm.weight ([3] instead of [16]). Check that config and weights belong together.',
    );
  });

  it('lists all faults of a config, and says which file is no JSON', async () => {
    const files = await saveTextEncoder(encoderOf());
    const config = { hidden_size: 18, num_hidden_layers: 0, hidden_act: 'relu' };
    await expect(loadTextEncoder(readFrom(new Map([...files, ['config.json', json(config)]])))).rejects.toThrow(
      'text: config must be valid, got layers 0 instead of a positive integer; width 18 instead of a positive multiple of 4; ' +
        'heads 8 instead of a divisor of the width that leaves a multiple of 4; ' +
        'activation "relu" instead of "gelu" or "quick_gelu". Correct these fields.',
    );
    const cut = files.get('tokenizer.json')!.subarray(0, 10);
    await expect(loadTextEncoder(readFrom(new Map([...files, ['tokenizer.json', cut]])))).rejects.toThrow(
      /^loadTextEncoder: tokenizer.json must hold a JSON object, got .* Fetch it again\.$/,
    );
  });
});
