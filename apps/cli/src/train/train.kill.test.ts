import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  prepareTraining,
  remainsOf,
  type SmallStage,
  smallSteps,
  startTraining,
  stepsIn,
} from '../testing/small-training.ts';

/** `npm run test:kill` takes the long form. */
const isFull = process.env['STAR_KILL'] === 'full';
const kills = isFull ? 10 : 2;
/** A process takes seconds to start where the machine is busy. */
const timeout = 150_000 * (kills + 2);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-kill-'));
  await prepareTraining(folder);
}, timeout);
afterAll(() => rm(folder, { recursive: true }));

const cases: { readonly stage: SmallStage; readonly sets: readonly string[]; readonly onlyFull?: boolean }[] = [
  { stage: 'vqvae', sets: ['training.precision=f16', 'training.accumulate=3'] },
  { stage: 'star', sets: ['training.ema={"decay":0.9}', 'training.best={"metric":"lastScale"}'] },
  { stage: 'vqvae', sets: [], onlyFull: true },
  { stage: 'star', sets: ['training.precision=f16', 'training.accumulate=2'], onlyFull: true },
];

describe.each(cases.filter(({ onlyFull }) => isFull || !onlyFull))('star train $stage $sets', ({ stage, sets }) => {
  it(
    `killed ${kills} times and gone on with, leaves what the run that was never killed leaves, byte for byte`,
    async () => {
      const name = `${stage}-${sets.join('-').replaceAll(/\W+/g, '-')}`;
      const whole = { out: `${name}-whole`, sets };
      const unbroken = await startTraining(folder, stage, whole).ended;
      expect(unbroken.code, unbroken.stderr).toBe(0);
      const broken = { out: `${name}-broken`, sets };
      const moments: string[] = [];
      for (let kill = 0; kill < kills; kill++) {
        // some way on from where it stood, to leave room for the others; then anywhere in a step and the writing behind it
        const from = (await stepsIn(join(folder, broken.out))).at(-1) ?? 0;
        const step = Math.min(smallSteps, Math.max(1, from) + Math.floor((Math.random() * 2 * smallSteps) / kills));
        const after = Math.random() * 80;
        moments.push(`${after.toFixed(0)} ms behind step ${step}`);
        const { child, ended, reaches } = startTraining(folder, stage, broken);
        await reaches(step);
        await new Promise((resolve) => setTimeout(resolve, after));
        child.kill('SIGKILL');
        await ended;
      }
      const last = await startTraining(folder, stage, broken).ended;
      expect(last.code, `${moments.join(', ')}: ${last.stderr}`).toBe(0);
      expect(last.stderr).not.toContain('is broken');
      expect(await remainsOf(join(folder, broken.out)), moments.join(', ')).toEqual(
        await remainsOf(join(folder, whole.out)),
      );
      const left = await readdir(join(folder, broken.out, 'checkpoints'));
      expect(left.filter((entry) => entry.startsWith('.'))).toEqual([]);
    },
    timeout,
  );
});
