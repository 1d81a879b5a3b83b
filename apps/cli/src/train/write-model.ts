import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { samplingFile } from '@star-webgpu/sampler';
import type { Stage } from '@star-webgpu/trainer';
import type { TrainConfig } from './config/parse.ts';
import { frozenFolders } from './frozen.ts';
import { samplingOf } from './sampling.ts';

/** Writes the finished model in half precision; a transformer takes along what it was trained beside, so that the folder can be sampled from. */
export async function writeModel(stage: Stage, folder: string, config: TrainConfig): Promise<string> {
  const files = await stage.files('F16');
  if (config.stage !== 'vqvae') {
    const sampling = await samplingOf(config);
    if (sampling) files.set(...samplingFile(sampling));
    const { vqvae, text } = frozenFolders(config);
    for (const name of ['config.json', 'model.safetensors'])
      files.set(`vqvae/${name}`, await readFile(join(vqvae, name)));
    if (text) await cp(text, join(folder, 'text'), { recursive: true, dereference: true });
  }
  return writeFolder(folder, files);
}

/** Writes files by their path inside a folder. Resolves to the folder. */
export async function writeFolder(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  for (const [path, bytes] of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
  return folder;
}
