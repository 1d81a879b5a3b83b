// Runs packer and loader for some minutes in a process held to 1 GB of memory, and fails if that process grows.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { folderSource, loadBatches, openPack, pack } from '@star-webgpu/data-lmdb';
import { memoryGroup } from './memory-group.ts';
import { writePhotos } from './photos.ts';

const CAP = 1e9;
/** Share by which the last fifth of the run may be above the second: the first fills caches. */
const GROWTH = 0.1;
const PHOTOS = { count: 600, side: 384 };

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, work: { type: 'string' } } });
const seconds = 60 * Number(values.minutes);
/** What the process under the cap does: packs, opens, loads two epochs, and again. */
async function work(folder: string): Promise<void> {
  await new Promise((resolve) => process.stdin.once('data', resolve));
  const source = await folderSource(join(folder, 'photos'));
  const path = join(folder, 'soak.lmdb');
  const end = performance.now() + 1000 * seconds;
  let pictures = 0;
  for (let rounds = 1; performance.now() < end; rounds++) {
    await pack(source, path, { shardSize: 250 });
    const open = await openPack(path);
    for await (const { cursor } of loadBatches({ packs: [open], batch: 16, size: 256, seed: rounds, cacheBytes: 0 })) {
      pictures += 16;
      if (cursor.epoch === 2 || performance.now() > end) break;
    }
    await open.close();
    console.log(`${rounds} packs, ${pictures} pictures loaded`);
  }
  process.exit(0);
}

async function watch(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'star-soak-'));
  await writePhotos(join(folder, 'photos'), PHOTOS);
  const group = memoryGroup(CAP);
  console.log(`cap: ${group ? `${CAP / 1e6} MB by ${group.kind}` : 'none may be set here; the size is checked alone'}`);
  // glibc gives each thread that decodes an arena of its own, and these break up: a few arenas show what is really held.
  const env = { ...process.env, MALLOC_ARENA_MAX: '2' };
  const args = [...process.execArgv, process.argv[1]!, ...process.argv.slice(2), '--work', folder];
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  group?.add(child.pid!);
  let last = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (last = text.trim().split('\n').at(-1) ?? last));
  child.stdin.end('go');
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code)),
  );
  const curve: number[] = [];
  const sampling = setInterval(() => void residentBytes(child.pid!).then((bytes) => bytes && curve.push(bytes)), 1000);
  const outcome = await ended;
  clearInterval(sampling);
  console.log(last);
  report(curve, group?.peak());
  group?.remove();
  await rm(folder, { recursive: true });
  if (outcome !== 0) fail(`the process must end by itself, got ${outcome}`);
}

function report(curve: readonly number[], peak: number | undefined): void {
  const fifths = Array.from({ length: 5 }, (_, i) =>
    median(curve.slice(Math.floor((i * curve.length) / 5), Math.floor(((i + 1) * curve.length) / 5))),
  );
  const most = Math.max(...curve);
  console.log(
    `resident without mapped files, medians of fifths: ${fifths.map(megabytes).join(', ')}; at most ${megabytes(most)}`,
  );
  if (peak !== undefined) console.log(`the group held at most ${megabytes(peak)}, page cache included`);
  if (most > CAP) fail(`memory must stay below ${megabytes(CAP)}, got ${megabytes(most)}`);
  if (fifths[4]! > fifths[1]! * (1 + GROWTH)) fail(`memory must not grow, got ${fifths.map(megabytes).join(', ')}`);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

/** Anonymous memory of a process: mapped files belong to the system's cache. */
async function residentBytes(processId: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${processId}/status`, 'utf8').catch(() => '');
  const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
}

function fail(text: string): void {
  console.error(`error: ${text}`);
  process.exitCode = 1;
}

await (values.work === undefined ? watch() : work(values.work));
