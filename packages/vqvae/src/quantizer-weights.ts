import { hostRandom, openWeights, type ReadFile, readText, withParameters } from '@star-webgpu/tensor-webgpu';
import { type VqvaeConfig, vqvaeConfig } from './config.ts';
import { Quantizer } from './quantizer.ts';
import type { Vqvae } from './vqvae.ts';
import { unusedVqvaeWeights } from './weights.ts';

/**
 * The quantiser alone of a VQVAE's folder, of which the rest is not read: all that turns tokens into what the transformer reads.
 * @throws WeightsError listing every tensor that does not fit.
 */
export async function loadQuantizer(readFile: ReadFile): Promise<Pick<Vqvae, 'config' | 'quantizer'>> {
  const config = vqvaeConfig(JSON.parse(await readText(await readFile('config.json'))) as Partial<VqvaeConfig>);
  const stored = [...(await openWeights(readFile))].filter(([name]) => name.startsWith(prefix));
  const weights = new Map(stored.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  const quantizer = withParameters({ values: 'none' }, () => new Quantizer(config, hostRandom(0)));
  await quantizer.loadStored(weights, { ignore: unusedVqvaeWeights });
  return { config, quantizer };
}

const prefix = 'quantize.';
