import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMpiMissing } from '@star-webgpu/tensor-webgpu/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRunning } from '../is-running.ts';
import { isSlurmMissing, type Slurm, startSlurm } from '../testing/slurm.ts';
import {
  prepareData,
  processOf,
  remainsOf,
  smallSteps,
  startTraining,
  stepsIn,
  type Training,
} from '../testing/small-training.ts';

/** A process takes seconds to start where the machine is busy. */
const timeout = 600_000;
const ranks = 2;
/** `npm run test:kill` takes the long form. */
const signals = process.env['STAR_KILL'] === 'full' ? (['USR1', 'TERM'] as const) : (['USR1'] as const);

let folder: string;
let slurm: Slurm | undefined;
const start = (out: string): Training => startTraining(folder, 'vqvae', { out, ranks, launch: slurm!.startRanks });

const withoutMpi = isMpiMissing();
describe.skipIf(isSlurmMissing() || withoutMpi)('srun star train', { timeout }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-srun-'));
    await prepareData(folder);
    slurm = await startSlurm();
    const { code, stderr } = await start('whole').ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('adapter of 2 ranks (0, 1): ');
  }, timeout);
  afterAll(async () => {
    await slurm?.stop();
    await rm(folder, { recursive: true });
  });

  const goesOn = async (out: string): Promise<void> => {
    const { code, stderr } = await start(out).ended;
    expect(code, stderr).toBe(0);
    expect(await remainsOf(join(folder, out))).toEqual(await remainsOf(join(folder, 'whole')));
  };

  it.each(signals)('on two nodes saves on SIG%s, asks for another turn, and goes on bit for bit', async (signal) => {
    const { ended, reaches } = start(signal);
    await reaches(5);
    slurm!.signalStep(signal);
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(75);
    expect((await stepsIn(join(folder, signal))).at(-1)).toBeLessThan(smallSteps);
    await goesOn(signal);
  });

  it('on two nodes ends when a rank is killed, and goes on bit for bit', async () => {
    const { ended, reaches } = start('killed');
    await reaches(8);
    const processes = [await processOf(folder, 0), await processOf(folder, 1)];
    process.kill(processes[1]!, 'SIGKILL');
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(128 + 9);
    await expect.poll(() => processes.filter(isRunning), { timeout: 60_000 }).toEqual([]);
    await goesOn('killed');
  });
});
