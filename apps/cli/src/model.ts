import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { loadPipeline, type LoadPipelineOptions, type Pipeline } from '@star-webgpu/sampler';

/** Opens a model folder; the emoji model that comes with the command by default. */
export function openModel(
  folder: string = fileURLToPath(modelUrl),
  options: LoadPipelineOptions = {},
): Promise<Pipeline> {
  return loadPipeline((path) => readFile(join(folder, path)), options);
}
