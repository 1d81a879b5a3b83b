import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packSquares } from '../testing/pack-squares.ts';
import { runStar } from '../testing/run-star.ts';

const config = {
  stage: 'star',
  seed: 1,
  data: { packs: ['dots.lmdb'], size: 64 },
  vqvaeFolder: fileURLToPath(new URL('vqvae', modelUrl)),
  text: { layers: 1, width: 16, heads: 2, mlpWidth: 16, positions: 8, vocabSize: 520 },
  star: { depth: 1, width: 32, heads: 1, dropPath: 0 },
  training: {
    batch: 2,
    steps: 2,
    learningRate: 0.01,
    warmupSteps: 1,
    schedule: 'lin0',
    finalRate: 0.5,
    weightDecay: 0,
    clipNorm: 1,
    saveEvery: 9,
    keepCheckpoints: 1,
  },
  captionDropout: 0,
  captions: 'first',
  labelSmoothing: 0,
};

describe('star train star with a text encoder that learns along', { timeout: 120_000 }, () => {
  let folder: string;
  const at = (...path: string[]): string => join(folder, ...path);
  const train = (out: string, ...more: string[]): ReturnType<typeof runStar> =>
    runStar(['train', 'star', '--config', 'star.json', '--out', out, ...more], folder);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-text-'));
    await writeFile(at('star.json'), JSON.stringify(config));
    await packSquares(folder, 'dots', (color) => `a ${color} square`);
    const { code, stderr } = await train('first');
    expect(code, stderr).toBe(0);
    await rm(at('dots.lmdb'));
    await packSquares(folder, 'others', (color) => `one square that is ${color}`);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('refuses to go on with captions of another vocabulary, also where changes are allowed', async () => {
    const { code, stderr } = await train('first', '--allow-changes');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        'error: train: the checkpoint must have learnt with the vocabulary of these captions, got',
      ),
    ]);
  });

  it('goes on from the encoder of a model with its vocabulary and weights, whatever the captions', async () => {
    const { code, stderr } = await train('second', '--set', 'from=first/model', '--set', 'training.learningRate=1e-9');
    expect(code, stderr).toBe(0);
    const [before, after] = await Promise.all(
      ['first', 'second'].map(async (run) => ({
        tokenizer: await readFile(at(run, 'model/text/tokenizer.json'), 'utf8'),
        weights: await readFile(at(run, 'model/text/model.safetensors')),
      })),
    );
    expect(after!.tokenizer).toBe(before!.tokenizer);
    expect(after!.weights.equals(before!.weights)).toBe(true);
  });

  it('teaches the encoder alone other words, and leaves the transformer as it is', async () => {
    const { code, stderr } = await train('taught', '--set', 'from=first/model', '--set', 'textOnly=true');
    expect(code, stderr).toBe(0);
    const isSame = async (part: string): Promise<boolean> => {
      const [before, after] = ['first', 'taught'].map((run) => readFile(at(run, 'model', part, 'model.safetensors')));
      return (await before!).equals(await after!);
    };
    expect([await isSame('star'), await isSame('text')]).toEqual([true, false]);
  });

  it('names the sizes in which the encoder differs', async () => {
    const { code, stderr } = await train('third', '--set', 'from=first/model', '--set', 'text.width=24');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        'error: from must be a model with a text encoder of the sizes in text, got width 16 instead of 24. Correct text.',
      ),
    ]);
  });
});
