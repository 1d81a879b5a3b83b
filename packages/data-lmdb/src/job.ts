import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf, PackError } from './errors.ts';
import { exists } from './files.ts';

/**
 * The folder of a pack in the making, beside its place: `<pack>.parts-<8 hex digits>`. It holds the pack's files, what is being made
 * (`job.json`), and which process is at it (`lock`). Of a finished pack in several files it holds those behind the first.
 */
export interface Job {
  readonly folder: string;
  /** The pack's n-th file, from 0. */
  file(index: number): string;
  /** Lets other processes go on with it. */
  release(): Promise<void>;
  /** Removes what only making it took; its files stay. */
  settle(): Promise<void>;
  /** Removes all of it. */
  remove(): Promise<void>;
}

const JOB = 'job.json';
const LOCK = 'lock';
/** Packs that this very process is at: a lock with its number that is not among them is left by a namesake that ended. */
const ours = new Set<string>();

/**
 * Takes the pack that will stand at `path` for this process, going on with what a writer of the same identity left; leftovers of any
 * other are removed. `live` is the folder that the present pack at `path` keeps files in.
 */
export async function openJob(
  path: string,
  { identity, live }: { identity: string; live: string | undefined },
): Promise<Job> {
  const folders = await foldersOf(path);
  for (const folder of folders) await refuseBusy(folder);
  let found: string | undefined;
  for (const folder of folders) {
    const about = await readAbout(folder);
    if (about === undefined) continue;
    const isBegun = await exists(jobIn(folder).file(0));
    if (!isBegun && about.replaces !== undefined && about.replaces !== live) await removeFolder(about.replaces);
    if (folder === live) await settle(folder);
    else if (isBegun && found === undefined && about.identity === identity) found = folder;
    else await removeFolder(folder);
  }
  const folder = found ?? `${path}.parts-${randomBytes(4).toString('hex')}`;
  if (found === undefined) await begin(folder, { identity, ...(live !== undefined && { replaces: live }) });
  await lock(folder);
  return jobIn(folder);
}

/** What a folder's `job.json` says. */
interface About {
  identity: string;
  /** The folder of further files of the pack that this one takes the place of. */
  replaces?: string;
}

async function begin(folder: string, about: About): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, JOB), JSON.stringify(about));
}

/** Undefined for the folder of a finished pack, and where a kill came before anything was said. */
async function readAbout(folder: string): Promise<About | undefined> {
  const text = await readFile(join(folder, JOB), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as About;
  } catch {
    return { identity: '' };
  }
}

const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });

function jobIn(folder: string): Job {
  const release = async (): Promise<void> => {
    ours.delete(folder);
    await rm(join(folder, LOCK), { force: true });
  };
  return {
    folder,
    file: (index) => join(folder, `${String(index).padStart(5, '0')}.lmdb`),
    release,
    settle: async () => {
      await settle(folder);
      ours.delete(folder);
    },
    remove: async () => {
      await removeFolder(folder);
      ours.delete(folder);
    },
  };
}

async function settle(folder: string): Promise<void> {
  for (const name of [JOB, LOCK]) await rm(join(folder, name), { force: true });
}

async function foldersOf(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.parts-`;
  const names = await readdir(dirname(path)).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? noFolder(path) : error;
  });
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(dirname(path), name));
}

async function refuseBusy(folder: string): Promise<void> {
  const owner = Number(await readFile(join(folder, LOCK), 'utf8').catch(() => ''));
  if (ours.has(folder) || (owner !== process.pid && isAlive(owner))) throw busy(folder, owner);
}

async function lock(folder: string): Promise<void> {
  await refuseBusy(folder);
  const file = join(folder, LOCK);
  await rm(file, { force: true });
  await writeFile(file, String(process.pid), { flag: 'wx' }).catch((error: unknown) => {
    throw codeOf(error) === 'EEXIST' ? busy(folder, 0) : error;
  });
  ours.add(folder);
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    return process.kill(processId, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

function busy(folder: string, owner: number): PackError {
  const who = owner > 0 ? `process ${owner}` : 'another process';
  return new PackError(
    'busy',
    `pack: path must be written by one process at a time, got ${who} at work in ${folder}. ` +
      'Wait for it; if that process writes no pack, remove the folder.',
    { path: folder },
  );
}

function noFolder(path: string): PackError {
  return new PackError('missing', `pack: folder of the pack must exist, got none at ${dirname(path)}. Make it first.`, {
    path,
  });
}
