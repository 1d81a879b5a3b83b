import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromHalfBits, toHalfBits } from '@star-webgpu/tensor-webgpu';
import { hashedValues, isMpiMissing, startRanks } from '@star-webgpu/tensor-webgpu/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { launchOf } from '../launch.ts';

const withoutMpi = isMpiMissing();

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const rankScript = new URL('../../testing/ranks.ts', import.meta.url);
const unlikeScript = new URL('../../testing/unlike-ranks.ts', import.meta.url);

/** Runs a script on so many ranks, with one argument. */
async function run(script: URL, argument: string, { count = 2, environment = {} } = {}): Promise<Outcome> {
  const node = [process.execPath, '--conditions=@star-webgpu/source', '--import', import.meta.resolve('tsx')];
  const child = startRanks(count, [...node, fileURLToPath(script), argument], { env: environment });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...texts };
}

const ranks = (count: number, what: string, environment = {}): Promise<Outcome> =>
  run(rankScript, what, { count, environment });

interface Said {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly texts: readonly string[];
  readonly own: readonly number[];
  readonly any: readonly boolean[];
  readonly f32: string;
  readonly f16: string;
}

describe.skipIf(withoutMpi)('three ranks on MPI', () => {
  let said: Said[];
  beforeAll(async () => {
    const { code, stdout, stderr } = await ranks(3, 'all');
    expect(code, stderr).toBe(0);
    said = JSON.parse(stdout) as Said[];
  });

  it('know their places, and exchange texts, wishes and what rank 0 has', () => {
    for (const [rank, one] of said.entries())
      expect(one).toMatchObject({
        rank,
        size: 3,
        localRank: rank,
        texts: ['', 'xxxxx', 'xxxxxxxxxx'],
        own: [7, 3],
        any: [true, false],
      });
    expect(said).toHaveLength(3);
  });

  it('add up floats in the order of ranks, with the same bits on each', () => {
    const [a, b, c] = [0, 1, 2].map((rank) => hashedValues(`f32 of ${rank}`, 1025)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const want = a.map((value, i) => Math.fround(value + b[i]!) + c[i]!);
    for (const { f32 } of said)
      expect(new Float32Array(Uint8Array.from(Buffer.from(f32, 'base64')).buffer)).toEqual(want);
  });

  it('add up halves in floats and round once', () => {
    const [a, b, c] = [0, 1, 2].map((rank) => hashedValues(`f16 of ${rank}`, 2050).map((value) => rounded(value))) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const want = Uint16Array.from(a, (value, i) => toHalfBits(Math.fround(value + b[i]!) + c[i]!));
    for (const { f16 } of said)
      expect(new Uint16Array(Uint8Array.from(Buffer.from(f16, 'base64')).buffer)).toEqual(want);
  });

  const rounded = (value: number): number => fromHalfBits(toHalfBits(value));

  it('end together when one does not come, and say which', async () => {
    const { code, stderr } = await ranks(3, 'late', { STAR_MPI_TIMEOUT: '2' });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(
      /rank [02] of 3: mpi: every rank must take part in the exchange of numbers within 2 s, got nothing of rank 1\./,
    );
  });

  it('end together when one throws, and say why', async () => {
    const { code, stderr } = await ranks(3, 'throws');
    expect(code).not.toBe(0);
    expect(stderr).toContain('rank 2 of 3: a reason');
  });

  it('leave the memory calls and signals of their processes as they are', async () => {
    const { code, stdout, stderr } = await ranks(2, 'all', { UCX_MEM_LOG_LEVEL: 'debug', UCX_LOG_LEVEL: 'debug' });
    expect(code, stderr).toBe(0);
    expect(stdout + stderr).not.toMatch(/installing \w+ hook|using signal stack/);
  });
});

describe.skipIf(withoutMpi)('two ranks on MPI that train', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ranks-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are refused a checkpoint where a weight differs in one bit', async () => {
    const { code, stderr } = await run(unlikeScript, folder);
    expect(code).not.toBe(0);
    expect(stderr).toContain(
      'train: every rank must have the weights of rank 0, bit for bit, got others on rank 1. Use adapters of one kind with one driver, and go on from the last checkpoint.',
    );
    expect((await readdir(folder)).filter((name) => name.startsWith('step-'))).toEqual([]);
  });
});

describe('launchOf', () => {
  it.each([
    [{}, undefined],
    [{ PMI_SIZE: '1' }, undefined],
    [{ PMI_SIZE: '4' }, { family: 'MPICH', size: 4 }],
    [
      { OMPI_COMM_WORLD_SIZE: '2', PMIX_RANK: '0' },
      { family: 'Open MPI', size: 2 },
    ],
    [
      { SLURM_STEP_NUM_TASKS: '16', PMIX_RANK: '3' },
      { family: 'Open MPI', size: 16 },
    ],
    [{ SLURM_STEP_NUM_TASKS: '16' }, { family: undefined, size: 16 }],
  ])('reads %j as %j', (environment, launch) => {
    expect(launchOf(environment)).toEqual(launch);
  });
});
