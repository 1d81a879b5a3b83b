import { parseTrainConfig, type TrainConfig } from './config/parse.ts';
import { keepJson } from './keep-json.ts';

/** Values that change nothing of what a run computes. */
const harmless =
  /^(\$schema|preview|sampling|histograms|evaluation\.(every|pictures)|data\.tokens|recompute|training\.(saveEvery|keepCheckpoints|milestoneEvery|best))(\.|$)/;

/**
 * Keeps the config of a run in its folder.
 * @throws Error naming each value that differs from that of the checkpoints there, unless changes are allowed; nothing is written then
 */
export const keepConfig = (folder: string, config: TrainConfig, allowChanges = false): Promise<void> =>
  keepJson(
    {
      folder,
      name: 'config.json',
      what: ['the config', 'other values'],
      // With today's defaults for what it does not say.
      parse: (file, text) => parseTrainConfig(file, text, []),
      differences: differencesOf,
    },
    config,
    allowChanges,
  );

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
