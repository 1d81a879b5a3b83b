import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRanks } from '@star-webgpu/tensor-webgpu/testing';
import sharp from 'sharp';
import { expect } from 'vitest';
import { runStar, starCommand, startStar } from './run-star.ts';

/** Steps of these runs. */
export const smallSteps = 24;

const training = {
  batch: 2,
  steps: smallSteps,
  learningRate: 0.003,
  warmupSteps: 3,
  schedule: 'lin0',
  finalRate: 0.1,
  weightDecay: 0.05,
  clipNorm: 1,
  saveEvery: 3,
  keepCheckpoints: 2,
};

/** Trainings that take a second, beside what a process takes to start. */
const configs = {
  vqvae: {
    stage: 'vqvae',
    seed: 1,
    data: { packs: ['noise.lmdb'], size: 8 },
    vqvae: {
      channels: 8,
      channelMultipliers: [1, 2],
      residualBlocks: 1,
      attention: false,
      normGroups: 4,
      codebookSize: 32,
      codeWidth: 8,
      patchNumbers: [1, 2, 4],
      phis: 2,
      phiShare: 0.5,
      beta: 0.25,
      cosineLookup: false,
    },
    training,
    loss: { absoluteWeight: 1, quantizeWeight: 0.25, reviveEvery: 4, reviveUntil: 20 },
  },
  star: {
    stage: 'star',
    seed: 1,
    data: { packs: ['noise.lmdb'], size: 8 },
    vqvaeFolder: 'vqvae',
    text: { layers: 1, width: 16, heads: 1, mlpWidth: 32, positions: 12, vocabSize: 520 },
    star: { depth: 1, width: 32, heads: 1, dropPath: 0.1 },
    training,
    captionDropout: 0.3,
    captions: 'random',
    labelSmoothing: 0,
  },
} as const;

export type SmallStage = keyof typeof configs;

/** Packs pictures of noise in a folder, and writes a config for each stage. */
export async function prepareData(folder: string): Promise<void> {
  const pictures = join(folder, 'pictures');
  await mkdir(pictures, { recursive: true });
  for (let i = 0; i < 7; i++) {
    const data = Uint8Array.from({ length: 9 * 9 * 3 }, (_, k) => (k * (i + 3) * 37) % 256);
    await sharp(data, { raw: { width: 9, height: 9, channels: 3 } })
      .png()
      .toFile(join(pictures, `${i}.png`));
    await writeFile(join(pictures, `${i}.txt`), `picture number ${i}\nnoise, ${'very '.repeat(i)}loud`);
  }
  const { code, stderr } = await runStar(['pack', pictures, '--out', join(folder, 'noise.lmdb')]);
  expect(code, stderr).toBe(0);
  for (const [name, config] of Object.entries(configs))
    await writeFile(join(folder, `${name}.json`), JSON.stringify(config));
}

/** Prepares data, and trains the VQVAE that the transformer wants. */
export async function prepareTraining(folder: string): Promise<void> {
  await prepareData(folder);
  const trained = await startTraining(folder, 'vqvae', { out: 'first', sets: ['training.steps=2'] }).ended;
  expect(trained.code, trained.stderr).toBe(0);
  await cp(join(folder, 'first/model'), join(folder, 'vqvae'), { recursive: true });
}

export interface RunOptions {
  /** Folder of the run, inside the folder of all. */
  readonly out: string;
  /** Values of the config that are others. */
  readonly sets?: readonly string[];
  /** Processes of MPI that share the run; without it a process by itself. */
  readonly ranks?: number;
  /** What starts those processes, `mpirun` if not given. */
  readonly launch?: typeof startRanks;
}

/** A training in processes of its own. */
export interface Training {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** Resolves once a step is in the log, or the process has ended. */
  readonly reaches: (step: number) => Promise<void>;
}

/** Starts, or goes on with, a training. */
export function startTraining(
  folder: string,
  stage: SmallStage,
  { out, sets = [], ranks, launch = startRanks }: RunOptions,
): Training {
  const overrides = sets.flatMap((set) => ['--set', set]);
  const args = ['train', stage, '--config', `${stage}.json`, '--out', out, ...overrides];
  const child = ranks
    ? launch(ranks, [...leavingItsId, ...starCommand(args)], { cwd: folder, env: { STAR_MPI_TIMEOUT: '60' } })
    : startStar(args, folder);
  let stderr = '';
  let isOver = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) =>
    child.on('close', (code) => {
      isOver = true;
      resolve({ code, stderr });
    }),
  );
  const reaches = async (step: number): Promise<void> => {
    while (!isOver && ((await stepsIn(join(folder, out))).at(-1) ?? 0) < step)
      await new Promise((resolve) => setTimeout(resolve, 2));
  };
  return { child, ended, reaches };
}

/** A shell that leaves its process id in a file and becomes the command that follows. */
const leavingItsId = ['sh', '-c', 'echo $$ > "rank-${PMI_RANK:-$OMPI_COMM_WORLD_RANK}.pid" && exec "$@"', 'sh'];

/** The process id of a rank of the run that was started last. */
export const processOf = async (folder: string, rank: number): Promise<number> =>
  Number(await readFile(join(folder, `rank-${rank}.pid`), 'utf8'));

const logLines = async (run: string): Promise<Record<string, unknown>[]> =>
  (await readFile(join(run, 'log.jsonl'), 'utf8').catch(() => ''))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Steps in a run's log. */
export const stepsIn = async (run: string): Promise<number[]> => (await logLines(run)).map(({ step }) => Number(step));

/** Losses in a run's log, step by step. */
export const lossesIn = async (run: string): Promise<number[]> => (await logLines(run)).map(({ loss }) => Number(loss));

/** Values of the log that a clock is in. */
const timed: ReadonlySet<string> = new Set(['time', 'imagesPerSecond', 'eta']);

/** All that a run leaves and that no clock is in: the files of its newest checkpoint and of its model, and its log. */
export async function remainsOf(run: string): Promise<Record<string, string>> {
  const remains: Record<string, string> = {};
  for (const part of ['checkpoints/last', 'model'])
    for (const entry of await readdir(join(run, part), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      remains[path.slice(run.length + 1)] = (await readFile(path)).toString('base64');
    }
  const lines = (await logLines(run)).map((line) =>
    JSON.stringify(line, (key, value: unknown) => (timed.has(key) ? undefined : value)),
  );
  return { ...remains, 'log.jsonl': lines.join('\n') };
}
