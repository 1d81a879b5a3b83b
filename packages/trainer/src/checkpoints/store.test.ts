import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { latestCheckpoint } from './open.ts';
import type { Retention } from './retention.ts';
import type { TrainingState } from './state.ts';
import { CheckpointStore } from './store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'checkpoints-'));
});
afterEach(() => rm(folder, { recursive: true }));

const state = (step: number, more: Partial<TrainingState> = {}): TrainingState => ({
  stage: 'x',
  step,
  cursor: { epoch: 0, step },
  seed: 1,
  ...more,
});
const content = (step: number, more: Partial<TrainingState> = {}): Parameters<CheckpointStore['begin']>[1] =>
  Promise.resolve({
    files: new Map([['model/a.bin', [Uint8Array.of(1, 2), Uint8Array.of(step)]]]),
    state: state(step, more),
  });

/** Writes checkpoints of some steps, one after the other. */
async function write(steps: readonly number[], retention: Retention = { keep: 2 }, root = folder): Promise<void> {
  const store = new CheckpointStore(root, retention);
  await store.open();
  try {
    for (const step of steps) {
      store.begin(step, content(step, { score: step % 4 }));
      await store.finish();
    }
  } finally {
    await store.close();
  }
}

const folders = async (): Promise<string[]> => (await readdir(folder)).toSorted();
const names = (...steps: number[]): string[] => steps.map((step) => `step-${String(step).padStart(8, '0')}`);

/** The newest whole checkpoint, and what is said of broken ones. */
async function latest(): Promise<{ step: number | undefined; broken: string[] }> {
  const broken: string[] = [];
  const found = await latestCheckpoint(folder, (path, reason) => broken.push(`${path}: ${reason}`));
  return { step: found?.state.step, broken };
}

describe('checkpoints', () => {
  it('are rotated; `last` and `best` point at what they say', async () => {
    await write([1, 4, 5, 6, 7], { keep: 2, milestoneEvery: 5, best: 'lower' });
    expect(await folders()).toEqual(['best', 'last', ...names(4, 5, 6, 7)]);
    expect(await readlink(join(folder, 'best'))).toBe('step-00000004');
    expect(await readFile(join(folder, 'last', 'model/a.bin'))).toEqual(Buffer.from([1, 2, 7]));
  });

  it('of a damaged file, a missing one, or a damaged state are named and passed over', async () => {
    await write([1, 2, 3, 4], { keep: 9 });
    const [, second, third, fourth] = names(1, 2, 3, 4).map((name) => join(folder, name));
    await writeFile(join(fourth!, 'model/a.bin'), Uint8Array.of(1, 2, 5));
    const text = await readFile(join(third!, 'state.json'), 'utf8');
    await writeFile(join(third!, 'state.json'), text.replace('"seed": 1', '"seed": 2'));
    await rm(join(second!, 'model/a.bin'));
    expect(await latest()).toEqual({
      step: 1,
      broken: [
        `${fourth}: model/a.bin does not have the checksum that state.json gives`,
        `${third}: state.json does not have its own checksum`,
        expect.stringMatching(/step-00000002: ENOENT/),
      ],
    });
  });

  it('that are all broken stop a run, which would begin anew over them', async () => {
    await write([1]);
    await truncate(join(folder, 'step-00000001/state.json'), 20);
    await expect(latest()).rejects.toThrow(
      `train: ${folder} must hold a whole checkpoint, got 1 broken ones. Restore one of them, or use another folder.`,
    );
  });

  it('of the same step are replaced', async () => {
    await write([1, 2]);
    await writeFile(join(folder, 'step-00000002/model/a.bin'), '');
    await write([2]);
    expect(await latest()).toEqual({ step: 2, broken: [] });
    expect(await folders()).toEqual(['last', ...names(1, 2)]);
  });

  it('half written, half removed or half replaced ones are cleared, and none is lost', async () => {
    await write([1, 2]);
    await mkdir(join(folder, '.writing-1/model'), { recursive: true });
    await mkdir(join(folder, '.removing-step-00000000'));
    await rename(join(folder, 'step-00000002'), join(folder, '.replaced-step-00000002'));
    await mkdir(join(folder, '.replaced-step-00000001'));
    await write([]);
    expect(await folders()).toEqual(['last', ...names(1, 2)]);
    expect((await latest()).step).toBe(2);
  });

  it('that are broken are set aside, so that they do not count among those kept', async () => {
    await write([1, 2, 3]);
    const store = new CheckpointStore(folder, { keep: 2 });
    await store.setAsideAfter(2);
    await store.close();
    expect(await folders()).toEqual(['broken-step-00000003', 'last', ...names(2)]);
  });

  it.each([1, 2, 3, 4, 5])('survive SIGKILL while they are written and written over: kill %i', async (kill) => {
    const script = fileURLToPath(new URL('../testing/write-checkpoints.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=@star-webgpu/source', '--import', 'tsx', script, folder]);
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, 3 + 11 * kill));
    child.kill('SIGKILL');
    await once(child, 'close');
    const written = Number(printed.trim().split('\n').at(-1));
    await write([]);
    const { step, broken } = await latest();
    expect(broken).toEqual([]);
    expect(step).toBeGreaterThanOrEqual(written);
    const bytes = await readFile(join(folder, names(step!)[0]!, 'model/a.bin'));
    expect(bytes.length).toBe(4_000_000);
    expect(new Set(bytes)).toEqual(new Set([step! % 256]));
  });
});

/** A file system of one megabyte, where this user may mount one. */
function mountSmall(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a full disk', () => {
  it('is told, leaves the checkpoints before whole and no half of a new one', async ({ skip }) => {
    const small = join(folder, 'small');
    await mkdir(small);
    if (!mountSmall(small)) skip('mounting a small file system is not allowed here');
    try {
      const store = new CheckpointStore(small, { keep: 2 });
      await store.open();
      store.begin(1, content(1));
      await store.finish();
      const large = new Map([['model/a.bin', [new Uint8Array(4_000_000)]]]);
      store.begin(2, Promise.resolve({ files: large, state: state(2) }));
      await expect(store.finish()).rejects.toThrow(
        `train: the checkpoint of step 2 could not be written into ${small}: ENOSPC: no space left on device, write. The ones before it are whole; mend the cause and run the same command again.`,
      );
      await store.close();
      expect((await readdir(small)).toSorted()).toEqual(['last', 'step-00000001']);
      expect((await latestCheckpoint(small, () => {}))!.state.step).toBe(1);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
