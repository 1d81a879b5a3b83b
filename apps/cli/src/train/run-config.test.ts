import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTrainConfig, type TrainConfig } from './config/parse.ts';
import { keepConfig } from './run-config.ts';

const file = new URL('../../../../configs/tiny-star.json', import.meta.url);
const configWith = async (...overrides: string[]): Promise<TrainConfig> =>
  parseTrainConfig('tiny-star.json', await readFile(file, 'utf8'), overrides);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

const kept = async (): Promise<TrainConfig> =>
  JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as TrainConfig;

describe('the config in a run’s folder', () => {
  it('is written over as long as there is no checkpoint', async () => {
    await keepConfig(folder, await configWith());
    await keepConfig(folder, await configWith('seed=2'));
    expect((await kept()).seed).toBe(2);
  });

  it('is not, where a checkpoint was made with other values: all of them are named', async () => {
    await keepConfig(folder, await configWith());
    await mkdir(join(folder, 'checkpoints/step-00000250'), { recursive: true });
    const other = await configWith('seed=2', 'star.width=256', 'training.steps=800', 'training.saveEvery=7');
    await expect(keepConfig(folder, other)).rejects.toThrow(
      `train: the config must be that of the run in ${folder}, got other values:
  seed: 1 in the run, 2 now
  star.width: 128 in the run, 256 now
  training.steps: 500 in the run, 800 now
Use another folder, or --allow-changes to go on with them.`,
    );
    expect(await kept()).toEqual(await configWith());
    await keepConfig(folder, other, true);
    expect(await kept()).toEqual(other);
  });

  it('may change in what does not change the run', async () => {
    await keepConfig(folder, await configWith());
    await mkdir(join(folder, 'checkpoints/step-00000250'), { recursive: true });
    const other = await configWith('training.saveEvery=7', 'training.keepCheckpoints=9', 'data.tokens="x.lmdb"');
    await keepConfig(folder, other);
    expect(await kept()).toEqual(other);
  });
});
