import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadPipeline, type LoadPipelineOptions, type Pipeline } from '@star-webgpu/sampler';

/** Opens a model folder; the emoji model that comes with the command by default. */
export function openModel(
  folder: string = fileURLToPath(modelUrl),
  options: LoadPipelineOptions = {},
): Promise<Pipeline> {
  return loadPipeline(folderFiles(folder), options);
}
