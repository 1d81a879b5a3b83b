import { z } from 'zod';
import { folderDigest } from '../folder-digest.ts';
import type { TrainConfig } from './config/parse.ts';
import type { PictureSet } from './data.ts';
import { frozenDigests, frozenFolders } from './frozen.ts';
import { keepJson } from './keep-json.ts';

const inputsSchema = z.object({
  packs: z.array(z.object({ path: z.string(), pictures: z.number(), digest: z.string() })),
  models: z.record(z.string(), z.string()),
});

/** What a run learns from beside its config: the chosen pictures of each pack, and digests of models that it does not change. */
type RunInputs = z.infer<typeof inputsSchema>;

/** What a config's pictures and models are now; the models that a run only begins with are left out. */
export async function inputsOf(config: TrainConfig, data: PictureSet): Promise<RunInputs> {
  return { packs: packsOf(data), models: await modelsOf(config) };
}

/**
 * Keeps what a run learns from in its folder.
 * @throws Error naming each pack and model that is not what the checkpoints there learnt from, unless changes are allowed
 */
export const keepInputs = (folder: string, inputs: RunInputs, allowChanges = false): Promise<void> =>
  keepJson(
    {
      folder,
      name: 'inputs.json',
      what: ['what it learns from', 'other pictures or models'],
      parse: (_, text) => inputsSchema.parse(JSON.parse(text)),
      differences: differencesOf,
    },
    inputs,
    allowChanges,
  );

function packsOf({ packs, keys }: PictureSet): RunInputs['packs'] {
  return packs.map((pack) => {
    const chosen = keys?.filter((key) => pack.has(key));
    return { path: pack.path, pictures: chosen?.length ?? pack.size, digest: pack.digest(chosen) };
  });
}

async function modelsOf(config: TrainConfig): Promise<Record<string, string>> {
  if (config.stage !== 'vqvae') return frozenDigests(frozenFolders(config));
  const { perceptual } = config.loss;
  return perceptual ? { perceptual: await folderDigest(perceptual.folder) } : {};
}

function differencesOf(before: RunInputs, now: RunInputs): string[] {
  const packs = now.packs.map(({ path, pictures, digest }, i) => {
    const old = before.packs[i];
    if (!old || old.digest === digest) return undefined;
    if (old.pictures !== pictures) return `${path}: ${old.pictures} pictures in the run, ${pictures} now`;
    return `${path}: as many pictures as in the run, but others, or with other captions`;
  });
  const models = Object.entries(now.models).map(([name, digest]) =>
    [undefined, digest].includes(before.models[name]) ? undefined : `${name}: not the files that it was in the run`,
  );
  return [...packs, ...models].filter((line) => line !== undefined);
}
