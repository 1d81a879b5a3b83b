import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepInputs } from './run-inputs.ts';

const inputs = {
  packs: [
    { path: 'a.lmdb', pictures: 5, digest: '1' },
    { path: 'b.lmdb', pictures: 7, digest: '2' },
  ],
  models: { vqvae: '3', text: '4' },
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-inputs-'));
});
afterEach(() => rm(folder, { recursive: true }));

const kept = async (): Promise<unknown> => JSON.parse(await readFile(join(folder, 'inputs.json'), 'utf8'));

describe('what a run learns from', () => {
  it('is kept from the first checkpoint on, and each difference is named', async () => {
    const others = {
      packs: [
        { ...inputs.packs[0]!, digest: '5' },
        { path: 'b.lmdb', pictures: 8, digest: '6' },
      ],
      models: { vqvae: '3', text: '7' },
    };
    await keepInputs(folder, others);
    await keepInputs(folder, inputs);
    await mkdir(join(folder, 'checkpoints/step-00000250'), { recursive: true });
    await keepInputs(folder, inputs);
    await expect(keepInputs(folder, others)).rejects.toThrow(
      `train: what it learns from must be that of the run in ${folder}, got other pictures or models:
  a.lmdb: as many pictures as in the run, but others, or with other captions
  b.lmdb: 7 pictures in the run, 8 now
  text: not the files that it was in the run
Use another folder, or --allow-changes to go on with them.`,
    );
    expect(await kept()).toEqual(inputs);
    await keepInputs(folder, others, true);
    expect(await kept()).toEqual(others);
  });

  it('is kept from now on in the folder of a run that was begun without', async () => {
    await mkdir(join(folder, 'checkpoints/step-00000250'), { recursive: true });
    await keepInputs(folder, inputs);
    expect(await kept()).toEqual(inputs);
  });
});
