import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadPipeline, type LoadPipelineOptions, type Pipeline } from '@star-webgpu/sampler';

/** The emoji model that comes with the command. */
export const ownFolder = fileURLToPath(modelUrl);

/** Opens a model folder; the emoji model that comes with the command by default. */
export function openModel(folder: string = ownFolder, options: LoadPipelineOptions = {}): Promise<Pipeline> {
  return loadPipeline(folderFiles(folder), options);
}

/** What a model's folder says that it can draw, in prompts.txt, one a line; nothing without that file. */
export async function listedPrompts(folder: string = ownFolder): Promise<string[]> {
  const text = await readFile(join(folder, 'prompts.txt'), 'utf8').catch(() => '');
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}
