import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PromptModels } from '@star-webgpu/sampler';
import { Star, starConfig } from '@star-webgpu/star-transformer';
import {
  contiguous,
  type HostTensor,
  hostTensor,
  noGrad,
  readSafetensors,
  type StoredTensor,
  storedTensor,
  type Tensor,
  tensor,
  writeSafetensors,
} from '@star-webgpu/tensor-webgpu';
import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { goldenFile, publishedVqvae, smallCheckpoint, textFolder, writeParts } from '../testing/published.ts';
import { type Outcome, runStar } from '../testing/run-star.ts';
import { type Verification, verifyModels } from './verify-models.ts';
import { watching } from './watch.ts';

const hashed = (name: string, shape: number[], scale = 1): HostTensor =>
  hostTensor(
    hashedValues(
      name,
      shape.reduce((product, side) => product * side, 1),
      scale,
    ),
    shape,
  );

const stored = (tensors: Readonly<Record<string, HostTensor>>): Map<string, StoredTensor> =>
  new Map(Object.entries(tensors).map(([name, host]) => [name, storedTensor(host)]));

/** Numbers that the published PyTorch code computed. */
const published = async (path: string): Promise<Map<string, HostTensor>> => readSafetensors(await goldenFile(path));

describe('the small published models against the published code’s numbers', () => {
  let models: PromptModels;
  beforeAll(async () => {
    await testDevice();
    const tokenizer = new Tokenizer(trainBpe(['red apple'], { vocabSize: 520 }));
    const text = initText({ vocabSize: 600, width: 16, mlpWidth: 24, layers: 3, heads: 2, positions: 9 }, { seed: 1 });
    const sizes = { depth: 1, width: 32, heads: 2, textWidth: 16, codeWidth: 8, codebookSize: 64 };
    models = {
      star: new Star(starConfig({ ...sizes, patchNumbers: [1, 2] })),
      vqvae: new Vqvae(vqvaeConfig({ channels: 32, codebookSize: 64, codeWidth: 8, patchNumbers: [1, 2, 3, 4] })),
      text: new TextEncoder(tokenizer, text.freeze()),
    };
    const weights = [...(await publishedVqvae())].map(
      ([name, { shape, values }]) => [name, hostTensor(values, shape)] as const,
    );
    models.vqvae.load(new Map(weights));
  });

  it('the VQVAE: latents, tokens and pictures', async () => {
    const numbers = await published('vqvae/test/golden/vqvae.safetensors');
    const tokens = [0, 1, 2, 3].map((scale) => numbers.get(`idx.${scale}`)!);
    const activations = stored({
      'input/vqvae.picture': hashed('img', [2, 3, 64, 64]),
      'input/vqvae.sum': numbers.get('fhat.3')!,
      'vqvae/quant_conv': numbers.get('f')!,
      'vqvae/tokens': joined(tokens),
      'vqvae/decoder': numbers.get('train.rec')!,
    });
    const { deviations, unmatched } = await verifyModels(models, activations);
    expect(unmatched).toEqual([]);
    expect(deviations.map(({ name }) => name)).toEqual(['vqvae/quant_conv', 'vqvae/tokens', 'vqvae/decoder']);
    // networks' outputs in float32
    for (const { error } of deviations) expect(error).toBeLessThan(5e-5);
  });

  it('finds the layer from which on something differs, and names what it cannot compare', async () => {
    const ids = tensor([1, 5, 9, 2, 0, 0, 3, 4, 5], [1, 9], { dtype: 'u32' });
    const mask = tensor([1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 9], { dtype: 'u32' });
    const outputs: [string, Tensor][] = [];
    const onOutput = (path: string, output: Tensor): void => void outputs.push([path, output]);
    watching(models.text.model, { paths: /layers\.\d$/, onOutput }, () =>
      noGrad(() => models.text.model.forward(ids, mask)),
    );
    expect(outputs.length).toBe(3);
    const record: Record<string, HostTensor> = {
      'input/text.ids': hostTensor(await ids.data(), [1, 9]),
      'input/text.mask': hostTensor(await mask.data(), [1, 9]),
      'text/text_model.encoder.layers.7': hashed('x', [1, 9, 16]),
      'text/text_model.final_layer_norm': hashed('x', [1, 9, 15]),
    };
    for (const [path, output] of outputs)
      record[`text/${path}`] = hostTensor(await contiguous(output).data(), output.shape);
    const second = record['text/text_model.encoder.layers.1']!;
    record['text/text_model.encoder.layers.1'] = scaled(second, 1.01);
    const { deviations, unmatched } = await verifyModels(models, stored(record));
    expect(deviations.map(({ name }) => name)).toEqual([0, 1, 2].map((i) => `text/text_model.encoder.layers.${i}`));
    const errors = deviations.map(({ error }) => error);
    expect([errors[0], errors[2]]).toEqual([0, 0]);
    expect(errors[1]).toBeCloseTo(0.01 / 1.01, 5);
    expect(unmatched).toEqual([
      'text/text_model.encoder.layers.7',
      'text/text_model.final_layer_norm: [1,9,15] instead of [1,9,16]',
    ]);
  });
});

const floatsOf = ({ bytes }: HostTensor): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);

const scaled = (host: HostTensor, factor: number): HostTensor =>
  hostTensor(
    floatsOf(host).map((value) => value * factor),
    host.shape,
  );

/** Tokens of scales side by side. i32 [B, l] each -> [B, L]. */
function joined(scales: readonly HostTensor[]): HostTensor {
  const rows = [0, 1].map((row) =>
    scales.flatMap(({ bytes, shape }) => {
      const side = shape[1]!;
      return [...new Int32Array(new Uint8Array(bytes).buffer).subarray(row * side, (row + 1) * side)];
    }),
  );
  return hostTensor(Float32Array.from(rows.flat()), [2, rows[0]!.length]);
}

describe('star verify', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-verify-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const verify = async (activations: Readonly<Record<string, HostTensor>>): Promise<Outcome> => {
    const file = join(folder, 'activations.safetensors');
    await writeFile(file, writeSafetensors(new Map(Object.entries(activations))));
    return runStar([
      'verify',
      '--model',
      join(folder, 'model'),
      '--activations',
      file,
      '--tolerance',
      '5e-5',
      '--json',
    ]);
  };

  it('passes converted weights whose logits are those of the published code, and names the block that differs', async () => {
    await writeParts(join(folder, 'star.pth'), await smallCheckpoint());
    await textFolder(join(folder, 'published'));
    const convert = async (source: string, part: string, ...args: string[]): Promise<void> => {
      const outcome = await runStar([
        'convert',
        join(folder, source),
        '--no-load',
        ...args,
        '--out',
        join(folder, 'model', part),
      ]);
      expect(outcome.code, outcome.stderr).toBe(0);
    };
    await convert('star.pth', 'star', '--no-refiner');
    await convert('star.pth', 'vqvae', '--kind', 'vqvae', '--patch-numbers', '1,2,4,8');
    await convert('published/text_encoder', 'text');
    const numbers = await published('star-transformer/test/golden/star.safetensors');
    const activations = {
      'input/star.teacher': numbers.get('var_input')!,
      'input/star.states': hashed('text', [2, 7, 32]),
      'input/star.mask': hostTensor(
        Float32Array.from({ length: 14 }, (_, i) => Number(i < 11)),
        [2, 7],
      ),
      'input/star.pooled': hashed('pool', [2, 32], 0.5),
      'star/head_logits': numbers.get('logits_first_sample_cross')!,
    };
    const good = await verify(activations);
    expect(good.code, good.stderr).toBe(0);
    const { deviations } = JSON.parse(good.stdout) as Verification;
    expect(deviations.map(({ name }) => name)).toEqual(['star/head_logits']);
    const bad = await verify({ ...activations, 'star/head_logits': scaled(activations['star/head_logits'], 1.01) });
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('got larger ones in star/head_logits.')]);
  });

  it('says so where the file holds nothing that it knows', async () => {
    const { code, stderr } = await verify({ something: hashed('x', [2]) });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('must hold inputs and outputs of modules, got 1 tensors of other names.'),
    ]);
  });
});
