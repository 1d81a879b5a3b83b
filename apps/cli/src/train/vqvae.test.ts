import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { smallLpipsFiles } from '@star-webgpu/metrics/testing';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from '../testing/run-star.ts';

let folder: string;
beforeAll(async () => {
  await testDevice();
  folder = await mkdtemp(join(tmpdir(), 'star-vqvae-'));
  await mkdir(join(folder, 'lpips'));
  for (const [name, bytes] of smallLpipsFiles('alexnet')) await writeFile(join(folder, 'lpips', name), bytes);
  await mkdir(join(folder, 'pictures'));
  for (let i = 0; i < 3; i++) {
    const data = Uint8Array.from({ length: 36 * 36 * 3 }, (_, k) => (k * (i + 3) * 37) % 256);
    const picture = sharp(data, { raw: { width: 36, height: 36, channels: 3 } });
    await picture.png().toFile(join(folder, `pictures/${i}.png`));
    await writeFile(join(folder, `pictures/${i}.txt`), `noise ${i}`);
  }
  await runStar(['pack', 'pictures', '--out', 'noise.lmdb'], folder);
  await writeFile(join(folder, 'vqvae.json'), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true }));

const config = {
  stage: 'vqvae',
  seed: 1,
  data: { packs: ['noise.lmdb'], size: 36 },
  vqvae: {
    channels: 8,
    channelMultipliers: [1, 1, 2],
    residualBlocks: 1,
    attention: false,
    normGroups: 4,
    codebookSize: 16,
    codeWidth: 8,
    patchNumbers: [1, 3, 9],
    phis: 4,
    phiShare: 0.5,
    beta: 0.25,
    cosineLookup: true,
  },
  training: {
    batch: 3,
    steps: 4,
    learningRate: 0.001,
    warmupSteps: 1,
    schedule: 'lin0',
    finalRate: 0.1,
    weightDecay: 0.1,
    clipNorm: 2,
    ema: { decay: 0.5 },
    saveEvery: 3,
    keepCheckpoints: 1,
  },
  loss: {
    absoluteWeight: 1,
    squaredWeight: 0,
    quantizeWeight: 1,
    reviveEvery: 2,
    reviveUntil: 4,
    perceptual: { folder: 'lpips', weight: 1 },
    adversarial: { startStep: 2, weight: 0.5, learningRate: 0.002, channels: 8, layers: 2 },
  },
};

describe('star train vqvae', () => {
  it('with LPIPS, a late discriminator, averages and unit codes logs each, and keeps the discriminator out of the model', async () => {
    const { code, stderr } = await runStar(['train', 'vqvae', '--config', 'vqvae.json', '--out', 'run'], folder);
    expect(code, stderr).toBe(0);
    const lines = (await readFile(join(folder, 'run/log.jsonl'), 'utf8')).trim().split('\n');
    const metrics = lines.map((line) => (JSON.parse(line) as { metrics: Record<string, number> }).metrics);
    for (const each of metrics) {
      expect(each['perceptual']).toBeGreaterThan(0);
      expect(each['used/3']).toBeGreaterThan(0);
    }
    expect(metrics.map((each) => each['adaptiveWeight'] !== undefined)).toEqual([false, false, true, true]);
    expect(stderr).toMatch(/step 4\/4 .* discriminator \d\.\d{4} /);
    expect(stderr).not.toContain('used/3');
    expect((await readdir(join(folder, 'run/checkpoints/step-00000004/model'))).toSorted()).toContain(
      'discriminator.safetensors',
    );
    expect((await readdir(join(folder, 'run/model'))).toSorted()).toEqual(['config.json', 'model.safetensors']);
  });

  it('gives a folder that star evaluate tokenizer measures, at another size too, scale by scale', async () => {
    const args = ['evaluate', 'tokenizer', 'run/model', '--pictures', 'noise.lmdb', '--lpips', 'lpips', '--side', '48'];
    const { code, stdout, stderr } = await runStar([...args, '--json'], folder);
    expect(code, stderr).toBe(0);
    const rows = JSON.parse(stdout) as { id: string; value: number; protocol: string }[];
    const scales = [1, 2, 3].flatMap((scale) => [`codes/${scale}`, `perplexity/${scale}`]);
    expect(rows.map(({ id }) => id)).toEqual(['psnr', 'ssim', 'lpips', 'codes', 'perplexity', ...scales]);
    const at = (id: string): (typeof rows)[0] => rows.find((row) => row.id === id)!;
    expect(at('psnr').protocol).toContain('48 px, made at 36 px');
    expect(at('codes/1').protocol).toMatch(/^of 16 codes, 3 tokens of 3 pictures/);
    expect(at('codes').value).toBeGreaterThanOrEqual(at('codes/3').value);
  });

  it('goes on from another one, whose sizes and weights it takes', async () => {
    const { vqvae: _vqvae, ...others } = config;
    const { ema: _ema, ...training } = { ...config.training, steps: 1, learningRate: 1e-9 };
    const further = { ...others, training, from: 'run/model' };
    await writeFile(join(folder, 'further.json'), JSON.stringify(further));
    const { code, stderr } = await runStar(['train', 'vqvae', '--config', 'further.json', '--out', 'further'], folder);
    expect(code, stderr).toBe(0);
    expect(await readFile(join(folder, 'further/model/config.json'), 'utf8')).toBe(
      await readFile(join(folder, 'run/model/config.json'), 'utf8'),
    );
    const psnrOf = async (model: string): Promise<number> => {
      const measured = await runStar(['evaluate', 'tokenizer', model, '--pictures', 'noise.lmdb', '--json'], folder);
      return (JSON.parse(measured.stdout) as { id: string; value: number }[]).find(({ id }) => id === 'psnr')!.value;
    };
    expect(await psnrOf('further/model')).toBeCloseTo(await psnrOf('run/model'), 3);
    const set = ['--set', 'from=nowhere'];
    const lost = await runStar(['train', 'vqvae', '--config', 'further.json', '--out', 'lost', ...set], folder);
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain('error: train: from must name the folder of a VQVAE');
  });

  it('goes on from another one with more codes and other scales', async () => {
    const changes = '{"codebookSize":40,"patchNumbers":[1,2,5,9]}';
    const grow = ['train', 'vqvae', '--config', 'further.json', '--out', 'grown', '--set', `changes=${changes}`];
    const grown = await runStar(grow, folder);
    expect(grown.code, grown.stderr).toBe(0);
    expect(JSON.parse(await readFile(join(folder, 'grown/model/config.json'), 'utf8'))).toMatchObject({
      codebookSize: 40,
      patchNumbers: [1, 2, 5, 9],
      codeWidth: 8,
    });
  });

  it('says where the weights of LPIPS come from, if the folder has none', async () => {
    const args = ['train', 'vqvae', '--config', 'vqvae.json', '--out', 'none'];
    const { code, stderr } = await runStar([...args, '--set', 'loss.perceptual.folder=nowhere'], folder);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: train: loss.perceptual.folder must name a folder with model.safetensors, got nowhere.',
    );
    expect(stderr).toContain('--lpips-weights vgg.pth');
  });
});
