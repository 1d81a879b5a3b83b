import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSamplingDefaults, type SamplingDefaults } from '@star-webgpu/sampler';
import type { TokenRun } from './config/parse.ts';

/** What the finished model is best drawn with: by the config, or as the model that it was made of. */
export async function samplingOf(config: TokenRun): Promise<SamplingDefaults | undefined> {
  if (config.sampling || config.stage === 'star') return config.sampling as SamplingDefaults | undefined;
  const text = await readFile(join(config.modelFolder, 'sampling.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseSamplingDefaults(text);
}
