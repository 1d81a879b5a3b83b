import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseTrainConfig, type TrainConfig } from './config/parse.ts';

/** Values that change nothing of what a run computes. */
const harmless =
  /^(\$schema|preview|sampling|histograms|evaluation\.(every|pictures)|data\.tokens|recompute|training\.(saveEvery|keepCheckpoints|milestoneEvery|best))(\.|$)/;

/**
 * Keeps the config of a run in its folder.
 * @throws Error naming each value that differs from that of the checkpoints there, unless changes are allowed; nothing is written then
 */
export async function keepConfig(folder: string, config: TrainConfig, allowChanges = false): Promise<void> {
  const file = join(folder, 'config.json');
  const differences = (await hasCheckpoints(folder)) ? differencesOf(await storedConfig(file), config) : [];
  if (differences.length && !allowChanges)
    throw new Error(
      `train: the config must be that of the run in ${folder}, got other values:\n${differences.map((line) => `  ${line}`).join('\n')}\nUse another folder, or --allow-changes to go on with them.`,
    );
  await mkdir(folder, { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(config, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

const hasCheckpoints = async (folder: string): Promise<boolean> =>
  (await readdir(join(folder, 'checkpoints')).catch(() => [])).some((name) => name.startsWith('step-'));

/** The config that a run was begun with, with today's defaults for what it does not say. */
const storedConfig = async (file: string): Promise<TrainConfig> =>
  parseTrainConfig(file, await readFile(file, 'utf8'), []);

function differencesOf(before: TrainConfig, now: TrainConfig): string[] {
  const [old, given] = [valuesOf(before), valuesOf(now)];
  const paths = [...new Set([...old.keys(), ...given.keys()])].filter((path) => !harmless.test(path));
  return paths
    .filter((path) => old.get(path) !== given.get(path))
    .map((path) => `${path}: ${old.get(path) ?? 'nothing'} in the run, ${given.get(path) ?? 'nothing'} now`);
}

/** Every value by its path, as JSON; lists are values. */
function valuesOf(value: object, prefix = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    const path = prefix + key;
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      for (const [deeper, text] of valuesOf(inner, `${path}.`)) all.set(deeper, text);
    else all.set(path, JSON.stringify(inner));
  }
  return all;
}
