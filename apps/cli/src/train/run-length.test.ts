import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareData, startTraining, stepsIn } from '../testing/small-training.ts';
import { parseTrainConfig } from './config/parse.ts';
import { closeData, openData } from './data.ts';
import { type RunLength, runLength } from './run-length.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-length-'));
  await prepareData(folder);
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

/** The length of a run over seven pictures in batches of two. */
async function lengthWith(...overrides: string[]): Promise<RunLength> {
  const text = await readFile(join(folder, 'vqvae.json'), 'utf8');
  const packs = `data.packs=${JSON.stringify([join(folder, 'noise.lmdb')])}`;
  const config = parseTrainConfig('vqvae.json', text, [packs, ...overrides]);
  const data = await openData(config);
  const length = runLength(config, data, [{ height: 8, width: 8 }]);
  await closeData(data);
  return length;
}

describe('the length of a run', () => {
  it('is that of the config in steps, or as many epochs of its pictures as it says, rounded up', async () => {
    expect(await lengthWith()).toEqual({ steps: 24, warmupSteps: 3 });
    // an epoch has four batches, the last filled up
    expect(await lengthWith('training.epochs=2.6')).toEqual({ steps: 11, warmupSteps: 3 });
    expect(await lengthWith('training.epochs=3', 'training.warmupEpochs=0.3')).toEqual({ steps: 12, warmupSteps: 1 });
    expect(await lengthWith('training.epochs=3', 'training.accumulate=5')).toMatchObject({ steps: 3 });
    expect(await lengthWith('training.epochs=0.01', 'training.warmupEpochs=0')).toEqual({ steps: 1, warmupSteps: 0 });
  });

  it('is how far a run in epochs goes', async () => {
    const sets = ['training.epochs=1.5', 'training.warmupEpochs=0.5'];
    const { code, stderr } = await startTraining(folder, 'vqvae', { out: 'run', sets }).ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('1.5 epochs are 6 steps\n');
    expect(await stepsIn(join(folder, 'run'))).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
