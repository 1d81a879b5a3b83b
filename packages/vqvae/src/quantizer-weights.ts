import { hostRandom, openSafetensors, readStored, readText, type ReadFile } from '@star-webgpu/tensor-webgpu';
import { type VqvaeConfig, vqvaeConfig } from './config.ts';
import { Quantizer } from './quantizer.ts';
import type { Vqvae } from './vqvae.ts';

/**
 * The quantiser alone of a VQVAE's folder, of which the rest is not read: all that turns tokens into what the transformer reads.
 * @throws WeightsError listing every tensor that does not fit.
 */
export async function loadQuantizer(readFile: ReadFile): Promise<Pick<Vqvae, 'config' | 'quantizer'>> {
  const config = vqvaeConfig(JSON.parse(await readText(await readFile('config.json'))) as Partial<VqvaeConfig>);
  const stored = await openSafetensors(await readFile('model.safetensors'));
  const own = [...stored].filter(([name]) => name.startsWith(prefix) && !name.endsWith('ema_vocab_hit_SV'));
  const weights = own.map(async ([name, tensor]) => [name.slice(prefix.length), await readStored(tensor)] as const);
  const quantizer = new Quantizer(config, hostRandom(0)).load(new Map(await Promise.all(weights)));
  return { config, quantizer };
}

const prefix = 'quantize.';
