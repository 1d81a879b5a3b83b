import { readFile } from 'node:fs/promises';
import {
  type HostTensor,
  hostTensor,
  readSafetensors,
  withPrecision,
  writeSafetensors,
} from '@star-webgpu/tensor-webgpu';
import { hashedValues, loadGoldenJson, relativeError, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanCaption } from './clean-caption.ts';
import { ClipText, initText } from './clip.ts';
import { formatTextConfig } from './config.ts';
import type { TextEncoder } from './encoder.ts';
import type { ReadFile } from '@star-webgpu/tensor-webgpu';
import { T5Text } from './t5.ts';
import { t5Config } from './t5-config.ts';
import { loadTextEncoder, saveTextEncoder } from './weights.ts';

const golden = (file: string): URL => new URL(`../test/golden/${file}`, import.meta.url);
const json = (value: unknown): Uint8Array => new globalThis.TextEncoder().encode(JSON.stringify(value));

type Files = Readonly<Record<string, Uint8Array | (() => Promise<Uint8Array>)>>;

const readFrom =
  (files: Files): ReadFile =>
  async (name) => {
    const file = files[name];
    if (!file) throw new Error(`no ${name}`);
    return typeof file === 'function' ? file() : file;
  };

/** Files of a folder of the goldens under another name. */
const filesOf = (folder: string, names: readonly string[], under = ''): Files =>
  Object.fromEntries(names.map((name) => [`${under}${name}`, () => readFile(golden(`${folder}/${name}`))]));

/** Weights of a module's names, all different. */
const weightsOf = (model: ClipText | T5Text): Map<string, HostTensor> =>
  new Map(
    [...model.namedTensors()].map(([name, { shape, size }]) => [
      name,
      hostTensor(hashedValues(name, size, 0.3, 0.05), shape),
    ]),
  );

const statesOf = async (encoder: TextEncoder, prompts: readonly string[]): Promise<number[]> => [
  ...(await encoder.encode(prompts).states.data()),
];

beforeAll(async () => void (await testDevice()));

describe('the folders of Stable Diffusion 2.1', () => {
  const sizes = { vocabSize: 900, width: 16, mlpWidth: 24, layers: 2, heads: 2, positions: 9 };
  const names = ['vocab.json', 'merges.txt', 'special_tokens_map.json', 'tokenizer_config.json'];
  const folder = (): Files => {
    const model = initText({ ...sizes, eosTokenId: 2 }, { seed: 1 });
    const weights = weightsOf(model).set('text_model.embeddings.position_ids', {
      dtype: 'I64',
      shape: [1, 9],
      bytes: new Uint8Array(72),
    });
    return {
      ...filesOf('clip-tokenizer', names, 'tokenizer/'),
      // as published, with what is of no use here
      'text_encoder/config.json': json({
        ...formatTextConfig(model.config),
        _name_or_path: 'hf-models/stable-diffusion-v2-768x768/text_encoder',
        dropout: 0,
        projection_dim: 512,
        torch_dtype: 'float32',
      }),
      'text_encoder/model.safetensors': writeSafetensors(weights, { format: 'pt' }),
    };
  };

  it('give the same features as the folder of our own that they are saved to', async () => {
    const published = await loadTextEncoder(readFrom(folder()));
    const saved = await saveTextEncoder(published);
    const own = await loadTextEncoder(readFrom(Object.fromEntries(saved)));
    const prompts = ['A red apple!', '', '红苹果 🍎', 'x'.repeat(10_000)];
    expect(published.model).toBeInstanceOf(ClipText);
    expect(own.tokenizer.padId).toBe(33);
    expect(own.tokenize(prompts)).toEqual(published.tokenize(prompts));
    expect(await statesOf(own, prompts)).toEqual(await statesOf(published, prompts));
  });

  it('may hold a whole CLIP, and weights in shards', async () => {
    const files = folder();
    const weights = [...readSafetensors(files['text_encoder/model.safetensors'] as Uint8Array)];
    delete (files as Record<string, unknown>)['text_encoder/model.safetensors'];
    const extras = new Map([['vision_model.x', hostTensor(new Float32Array(2), [2])]]);
    const whole = readFrom({
      ...files,
      'text_encoder/config.json': json({
        model_type: 'clip',
        text_config: formatTextConfig(initText({ ...sizes, eosTokenId: 2 }, { seed: 1 }).config),
      }),
      'text_encoder/model.safetensors.index.json': json({
        weight_map: Object.fromEntries([
          ...weights.map(([name], i) => [name, `model-0000${i % 2}.safetensors`]),
          ['vision_model.x', 'model-00002.safetensors'],
        ]),
      }),
      ...Object.fromEntries(
        [0, 1].map((part) => [
          `text_encoder/model-0000${part}.safetensors`,
          writeSafetensors(new Map(weights.filter((_, i) => i % 2 === part))),
        ]),
      ),
      'text_encoder/model-00002.safetensors': writeSafetensors(extras),
    });
    const states = await statesOf(await loadTextEncoder(whole), ['a red apple']);
    expect(states).toEqual(await statesOf(await loadTextEncoder(readFrom(folder())), ['a red apple']));
  });

  it('cut a long prompt and tell the words', async () => {
    const encoder = await loadTextEncoder(readFrom(folder()));
    const { truncated, cut } = encoder.tokenize(['a red apple on a wooden table in the sun', 'a red apple']);
    expect(truncated).toEqual([true, false]);
    expect(cut[0]).toMatch(/ the sun$/);
    expect(cut[1]).toBe('');
  });
});

describe('a folder of a T5 encoder', () => {
  const config = t5Config({
    vocabSize: 704,
    width: 16,
    mlpWidth: 20,
    layers: 2,
    heads: 3,
    headWidth: 4,
    positions: 12,
  });
  const stored = {
    architectures: ['T5ForConditionalGeneration'],
    model_type: 't5',
    vocab_size: 704,
    d_model: 16,
    d_ff: 20,
    d_kv: 4,
    num_heads: 3,
    num_layers: 2,
    num_decoder_layers: 2,
    feed_forward_proj: 'gated-gelu',
    is_gated_act: true,
    layer_norm_epsilon: 1e-6,
    n_positions: 512,
    pad_token_id: 0,
    eos_token_id: 1,
    relative_attention_num_buckets: 32,
  };
  const folder = (weights: ReadonlyMap<string, HostTensor>, changes: Record<string, unknown> = {}): Files => ({
    ...filesOf('t5-tokenizer', ['tokenizer.json', 'tokenizer_config.json']),
    'config.json': json({ ...stored, ...changes }),
    'model.safetensors': writeSafetensors(weights),
  });
  const weights = (): Map<string, HostTensor> => weightsOf(new T5Text(config));

  it('gives 120 tokens a prompt, cleaned, of a whole T5 with its decoder', async () => {
    const whole = weights()
      .set('decoder.block.0.x', hostTensor(new Float32Array(2), [2]))
      .set('lm_head.weight', hostTensor(new Float32Array(2), [2]));
    const encoder = await loadTextEncoder(readFrom(folder(whole)));
    expect(encoder.model).toBeInstanceOf(T5Text);
    expect([encoder.width, encoder.model.parameterCount]).toEqual([16, 0]);
    const { states, mask, pooled } = encoder.encode(['<b>A Red Apple</b>', '']);
    expect([states.shape, mask.shape, pooled.shape]).toEqual([
      [2, 120, 16],
      [2, 120],
      [2, 16],
    ]);
    const [captions] = [await loadGoldenJson<[string, string][]>(golden('captions.json'))];
    const texts = captions.map(([caption]) => caption);
    expect(encoder.tokenize(texts)).toEqual(encoder.tokenize(texts.map(cleanCaption)));
    expect(encoder.tokenize(['<b>A Red Apple</b>'])).toEqual(encoder.tokenize(['a red apple']));
  });

  it('may name its token table either way, or both', async () => {
    const named = weights();
    const renamed = weights().set('encoder.embed_tokens.weight', named.get('shared.weight')!);
    const both = new Map(renamed);
    renamed.delete('shared.weight');
    const states = await Promise.all(
      [named, renamed, both].map(async (one) => statesOf(await loadTextEncoder(readFrom(folder(one))), ['a cat'])),
    );
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
  });

  it('comes back as it was saved, with its number of tokens and its cleaning', async () => {
    const changes = { prompt_tokens: 7, clean_captions: false };
    const first = await loadTextEncoder(readFrom(folder(weights(), changes)));
    const again = await loadTextEncoder(readFrom(Object.fromEntries(await saveTextEncoder(first))));
    expect(again.model.config).toEqual({ ...config, positions: 7, cleanCaptions: false });
    expect([...again.tokenize(['<b>']).ids]).toEqual([...first.tokenize(['<b>']).ids]);
    expect(again.tokenize(['<b>']).mask).not.toEqual(again.tokenize(['']).mask);
    expect(await statesOf(again, ['a cat'])).toEqual(await statesOf(first, ['a cat']));
  });

  it('has halves on the device where asked to, and the same features to three digits, in f32 all the same', async () => {
    const [full, half] = [
      await loadTextEncoder(readFrom(folder(weights()))),
      await loadTextEncoder(readFrom(folder(weights())), { dtype: 'f16' }),
    ];
    const types = new Map([...half.model.namedTensors()].map(([name, { dtype }]) => [name, dtype]));
    expect(types.get('shared.weight')).toBe('f16');
    expect(types.get('encoder.final_layer_norm.weight')).toBe('f32');
    const want = await full.encode(['a red apple', '']).states.data();
    const { states } = half.encode(['a red apple', '']);
    expect(states.dtype).toBe('f32');
    // Tolerance of half precision: only the weights are rounded.
    expect(relativeError(await states.data(), want)).toBeLessThan(5e-3);
    expect(relativeError(await states.data(), want)).toBeGreaterThan(0);
    const again = withPrecision('f16', () => half.encode(['a red apple', '']));
    expect(await again.states.data()).toEqual(await states.data());
  });

  it('takes any text: nothing, emoji, Chinese, 10,000 characters', async () => {
    const encoder = await loadTextEncoder(readFrom(folder(weights(), { prompt_tokens: 12 })));
    const prompts = ['', '🍎👩🏽‍🚀', '红苹果', 'a red apple '.repeat(834), '\ud800', '</s><pad>'];
    const { truncated, cut } = encoder.tokenize(prompts);
    expect(truncated).toEqual([false, false, false, true, false, false]);
    expect(cut[3]!.length).toBeGreaterThan(9000);
    expect((await statesOf(encoder, prompts)).every(Number.isFinite)).toBe(true);
  });

  it('is refused with every fault where it is not of this form', async () => {
    await expect(
      loadTextEncoder(readFrom(folder(weights(), { feed_forward_proj: 'relu', d_model: 18 }))),
    ).rejects.toThrow(
      'text: config must be valid, got width 18 instead of a positive multiple of 4; activation "relu" instead of "gated-gelu". Correct these fields.',
    );
    await expect(loadTextEncoder(readFrom(folder(weights(), { model_type: 'bert' })))).rejects.toThrow(
      'loadTextEncoder: model_type must be one of clip_text_model, clip, t5, got "bert". Use a CLIP text model or a T5 encoder.',
    );
    const { 'model.safetensors': _, ...unweighted } = folder(weights());
    await expect(loadTextEncoder(readFrom(unweighted))).rejects.toThrow('no model.safetensors');
    await expect(loadTextEncoder(readFrom({}))).rejects.toThrow(
      'loadTextEncoder: folder must hold config.json, or text_encoder/config.json beside tokenizer/, got neither. Point at the folder of a text encoder.',
    );
  });
});
