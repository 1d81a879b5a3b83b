import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { hostFloats, readSafetensors } from '@star-webgpu/tensor-webgpu';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from './testing/run-star.ts';

const emoji = fileURLToPath(modelUrl);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-finetune-'));
  await writePictures();
  await writeFile(join(folder, 'lora.json'), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true }));

/** Packs three plain pictures. */
async function writePictures(): Promise<void> {
  const where = join(folder, 'pictures');
  await mkdir(where);
  for (const colour of ['teal', 'plum', 'gold']) {
    await sharp({ create: { width: 40, height: 40, channels: 3, background: colour } })
      .png()
      .toFile(join(where, `${colour}.png`));
    await writeFile(join(where, `${colour}.txt`), `${colour} square`);
  }
  const { code, stderr } = await star(['pack', where, '--out', 'mine.lmdb']);
  expect(code, stderr).toBe(0);
}

const config = {
  stage: 'finetune',
  seed: 1,
  data: { packs: ['mine.lmdb'], size: 64 },
  modelFolder: emoji,
  lora: { rank: 2, alpha: 4, targets: ['attn.mat_qkv', 'cross_attn.mat_kv', 'ffn.fc1'] },
  recompute: true,
  training: {
    batch: 3,
    steps: 4,
    learningRate: 0.01,
    warmupSteps: 1,
    schedule: 'lin0',
    finalRate: 0.1,
    weightDecay: 0,
    clipNorm: 2,
    ema: { decay: 0.5 },
    saveEvery: 2,
    keepCheckpoints: 2,
  },
  captionDropout: 0,
  captions: 'first',
  labelSmoothing: 0,
};

const star = (args: readonly string[]): ReturnType<typeof runStar> => runStar(args, folder);
const bytesOf = (...path: string[]): Promise<Buffer> => readFile(join(folder, ...path));

describe('star train finetune', () => {
  it('learns adapters alone, and adds them to the weights that have one; no others change', async () => {
    const { code, stderr } = await star(['train', 'finetune', '--config', 'lora.json', '--out', 'run']);
    expect(code, stderr).toBe(0);
    const [first, ...losses] = (await readFile(join(folder, 'run/log.jsonl'), 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { loss: number }).loss);
    expect(losses.at(-1)!).toBeLessThan(first!);
    // rank 2 beside 192 -> 576, 128 -> 384 and 192 -> 768, in four blocks
    expect(stderr).toContain(`${(4 * 2 * (192 + 576 + 128 + 384 + 192 + 768)).toLocaleString('en-US')} parameters`);
    const trained = readSafetensors(await bytesOf('run/model/star/model.safetensors'));
    const before = readSafetensors(await readFile(join(emoji, 'star/model.safetensors')));
    const changed = [...before].filter(([name, { bytes }]) => Buffer.compare(bytes, trained.get(name)!.bytes) !== 0);
    const adapted = [0, 1, 2, 3].flatMap((block) =>
      config.lora.targets.map((target) => `blocks.${block}.${target}.weight`),
    );
    expect(changed.map(([name]) => name).toSorted()).toEqual(adapted.toSorted());
  });

  it('leaves adapters that `star merge` adds to the model again, to the same weights', async () => {
    const merged = await star(['merge', emoji, '--lora', 'run/adapter', '--out', 'merged']);
    expect(merged.code, merged.stderr).toBe(0);
    expect(
      Buffer.compare(await bytesOf('merged/star/model.safetensors'), await bytesOf('run/model/star/model.safetensors')),
    ).toBe(0);
    expect((await readdir(join(folder, 'merged'))).toSorted()).toEqual([
      'prompts.txt',
      'sampling.json',
      'star',
      'text',
      'vqvae',
    ]);
  });

  it('keeps checkpoints of adapters alone, far smaller than the model, and goes on from them', async () => {
    const checkpoints = (await readdir(join(folder, 'run/checkpoints'))).filter((name) => name.startsWith('step-'));
    const model = (await stat(join(emoji, 'star/model.safetensors'))).size;
    for (const name of checkpoints) {
      const held = await bytesOf('run/checkpoints', name, 'model/adapters.safetensors');
      expect(held.length).toBeLessThan(model / 20);
      expect(hostFloats([...readSafetensors(held).values()][1]!).some((value) => value !== 0)).toBe(true);
    }
    await rm(join(folder, 'run/checkpoints/step-00000004'), { recursive: true });
    const wanted = await bytesOf('run/adapter/adapter_model.safetensors');
    const { code, stderr } = await star(['train', 'finetune', '--config', 'lora.json', '--out', 'run']);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('going on from step 2');
    expect(Buffer.compare(await bytesOf('run/adapter/adapter_model.safetensors'), wanted)).toBe(0);
  });
});
