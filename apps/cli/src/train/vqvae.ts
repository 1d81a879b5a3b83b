import { VqvaeStage } from '@star-webgpu/trainer';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import type { VqvaeRun } from './config/vqvae.ts';
import { sizesOf } from './data.ts';
import type { Trained } from './trained.ts';

/** Training of a VQVAE from nothing. */
export function vqvaeStage(run: VqvaeRun): Trained {
  const { vqvae, loss, seed } = run;
  const config = vqvaeConfig(vqvae);
  const stage = new VqvaeStage(new Vqvae(config, { seed }), { seed, ...loss });
  return { stage, sizes: sizesOf(run, config) };
}
