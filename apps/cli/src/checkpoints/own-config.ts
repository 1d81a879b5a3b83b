import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The config of a folder of ours, which tells what tensors cannot: normalisation groups, whose text a picture sees. */
export type OwnConfig = Readonly<Record<string, unknown>>;

/** Reads the config beside a model's weights, or in the inner folder that its prefix names; undefined where there is none of ours. */
export async function ownConfig(folder: string, prefix: string): Promise<OwnConfig | undefined> {
  const inner = join(folder, ...prefix.split('.'));
  for (const file of new Set([inner, folder].map((place) => join(place, 'config.json')))) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const config = text === undefined ? undefined : (JSON.parse(text) as OwnConfig | null);
    if (config && Array.isArray(config['patchNumbers'])) return config;
  }
  return undefined;
}
