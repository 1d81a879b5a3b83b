import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareTraining, remainsOf, smallSteps, startTraining, stepsIn } from '../testing/small-training.ts';

/** A process takes seconds to start where the machine is busy. */
const timeout = 600_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-signals-'));
  await prepareTraining(folder);
}, timeout);
afterAll(() => rm(folder, { recursive: true }));

describe('star train', { timeout }, () => {
  it('saves on SIGTERM, SIGUSR1 and Ctrl-C, tells by its exit code whether to queue it again, and goes on bit for bit', async () => {
    const unbroken = await startTraining(folder, 'vqvae', { out: 'whole' }).ended;
    expect(unbroken.code, unbroken.stderr).toBe(0);
    for (const [i, [signal, code]] of (
      [
        ['SIGTERM', 75],
        ['SIGUSR1', 75],
        ['SIGINT', 130],
      ] as const
    ).entries()) {
      const { child, ended, reaches } = startTraining(folder, 'vqvae', { out: 'stopped' });
      await reaches(4 * i + 2);
      child.kill(signal);
      const outcome = await ended;
      expect(outcome.code, outcome.stderr).toBe(code);
      const stood = (await stepsIn(join(folder, 'stopped'))).at(-1)!;
      expect(stood).toBeLessThan(smallSteps);
      expect(outcome.stderr).toContain(`stopped and saved at step ${stood}; the same command goes on from there`);
    }
    const last = await startTraining(folder, 'vqvae', { out: 'stopped' }).ended;
    expect(last.code, last.stderr).toBe(0);
    expect(await remainsOf(join(folder, 'stopped'))).toEqual(await remainsOf(join(folder, 'whole')));
  });

  it('ends at once on the second Ctrl-C, but not on a second signal of a scheduler', async () => {
    // steps of seconds, so that the second signal comes while the first one still waits
    const sets = ['training.batch=1500', 'training.steps=9'];
    for (const [first, second, code] of [
      ['SIGINT', 'SIGINT', 130],
      ['SIGUSR1', 'SIGTERM', 75],
    ] as const) {
      const { child, ended, reaches } = startTraining(folder, 'vqvae', { out: `twice-${second}`, sets });
      await reaches(1);
      const asked = new Promise((resolve) =>
        child.stderr.on('data', (text: string) => text.includes('saving and stopping') && resolve(true)),
      );
      child.kill(first);
      await asked;
      child.kill(second);
      const outcome = await ended;
      expect(outcome.code, outcome.stderr).toBe(code);
      expect(outcome.stderr.includes('stopped and saved')).toBe(code === 75);
    }
  });

  it('refuses a folder in which another training is at work, which goes on', async () => {
    const first = startTraining(folder, 'vqvae', { out: 'shared' });
    await first.reaches(1);
    // it waits with its lock until the other has been refused
    first.child.kill('SIGSTOP');
    const second = await startTraining(folder, 'vqvae', { out: 'shared' }).ended;
    first.child.kill('SIGCONT');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(
      `error: train: --out must be a folder that no other process uses, got shared, in use by process ${first.child.pid}.`,
    );
    const outcome = await first.ended;
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(await stepsIn(join(folder, 'shared'))).toHaveLength(smallSteps);
  });

  it('refuses a config that is not that of the run, before anything is written', async () => {
    const { code, stderr } = await startTraining(folder, 'vqvae', { out: 'first', sets: ['training.steps=9'] }).ended;
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: train: the config must be that of the run in first, got other values:\n  training.steps: 2 in the run, 9 now\n',
    );
  });
});
