import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMpiMissing } from '@star-webgpu/tensor-webgpu/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRunning } from '../is-running.ts';
import { runStar } from '../testing/run-star.ts';
import {
  lossesIn,
  prepareData,
  processOf,
  remainsOf,
  type SmallStage,
  startTraining,
  stepsIn,
} from '../testing/small-training.ts';

const steps = 50;
const ranks = 2;
/** A process takes seconds to start where the machine is busy. */
const timeout = 600_000;
/** Seconds in which a launcher ends the other ranks, on a busy machine too. */
const patience = 60;

/** Pictures of 16 pixels, two for each rank. */
const common = ['data.size=16', 'training.batch=4', `training.steps=${steps}`, 'training.saveEvery=5'];
const sets = {
  vqvae: [...common, 'vqvae.channelMultipliers=[1,2,2]', 'vqvae.attention=true', 'loss.reviveUntil=40'],
  star: [...common, 'vqvaeFolder=vqvae-alone/model'],
};

let folder: string;
const at = (run: string): string => join(folder, run);

/** Trains to the end. Gives what the run said. */
async function trained(stage: SmallStage, out: string, options: { readonly ranks?: number } = {}): Promise<string> {
  const { code, stderr } = await startTraining(folder, stage, { out, sets: sets[stage], ...options }).ended;
  expect(code, stderr).toBe(0);
  return stderr;
}

const withoutMpi = isMpiMissing();
/** `npm run test:kill` takes the long form. */
const isFull = process.env['STAR_KILL'] === 'full';
const stages: readonly SmallStage[] = isFull ? ['vqvae', 'star'] : ['vqvae'];
/** Which rank is killed behind which step, one start after the other. */
const kills: readonly { readonly rank: number; readonly step: number }[] = isFull
  ? [
      { rank: 1, step: 18 },
      { rank: 0, step: 33 },
    ]
  : [{ rank: 1, step: 33 }];

describe.skipIf(withoutMpi)('mpirun -n 2 star train', { timeout }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-mpi-'));
    await prepareData(folder);
  }, timeout);
  afterAll(() => rm(folder, { recursive: true }));

  // Each checkpoint is preceded by a comparison of the weights of all ranks, bit for bit: a run that ends well has the same on both.
  it.each(stages)('%s has the losses of one process with the same batches', async (stage) => {
    await trained(stage, `${stage}-alone`);
    const said = await trained(stage, `${stage}-shared`, { ranks });
    expect(said).toContain('adapter of 2 ranks (0, 1): ');
    const [alone, shared] = [await lossesIn(at(`${stage}-alone`)), await lossesIn(at(`${stage}-shared`))];
    expect(shared).toHaveLength(steps);
    const errors = shared.map((loss, i) => Math.abs(loss / alone[i]! - 1));
    // sums of a batch's two halves round otherwise than those of the whole, and no more than that
    expect(Math.max(...errors)).toBeLessThan(1e-5);
    expect(errors).toHaveLength(alone.length);
  });

  it('ends with the reason where the launcher started more than the library sees', async () => {
    const args = ['train', 'vqvae', '--config', 'vqvae.json', '--out', 'unlaunched'];
    const { code, stderr } = await runStar(args, folder, { PMI_SIZE: '2' });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error: mpi: .* must see the 2 processes that were started, got 1\. Use the launcher of this/,
    );
  });

  it('is written by rank 0 alone', async () => {
    const names = async (run: string): Promise<string[]> =>
      (await readdir(at(run), { recursive: true })).map((path) => path.replace(/^events\..*/, 'events')).toSorted();
    expect(await names('vqvae-shared')).toEqual(await names('vqvae-alone'));
    expect(await stepsIn(at('vqvae-shared'))).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
  });

  it('ends when a rank is killed, and gone on with leaves what the unbroken run leaves, byte for byte', async () => {
    for (const { rank, step } of kills) {
      const { ended, reaches } = startTraining(folder, 'vqvae', { out: 'killed', sets: sets.vqvae, ranks });
      await reaches(step);
      const processes = [await processOf(folder, 0), await processOf(folder, 1)];
      const began = performance.now();
      process.kill(processes[rank]!, 'SIGKILL');
      const { code, stderr } = await ended;
      expect(code, stderr).not.toBe(0);
      expect(performance.now() - began).toBeLessThan(1000 * patience);
      await expect.poll(() => processes.filter(isRunning), { timeout: 1000 * patience }).toEqual([]);
      expect((await stepsIn(at('killed'))).at(-1)).toBeLessThan(steps);
    }
    const said = await trained('vqvae', 'killed', { ranks });
    expect(said).toMatch(/going on from step (30|35|40|45) of /);
    expect(said).not.toContain('is broken');
    expect(await remainsOf(at('killed'))).toEqual(await remainsOf(at('vqvae-shared')));
  });
});
