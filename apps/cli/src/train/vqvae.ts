import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadLpips } from '@star-webgpu/metrics';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { VqvaeStage, type VqvaeStageOptions } from '@star-webgpu/trainer';
import { Discriminator, loadVqvae, Vqvae, type VqvaeChanges, vqvaeConfig } from '@star-webgpu/vqvae';
import { publishedNetworks } from '../evaluate/networks.ts';
import { hasWeights } from '../has-weights.ts';
import type { VqvaeRun } from './config/vqvae.ts';
import { sizesOf, type TrainingData } from './data.ts';
import { reconstructionOf, reconstructionPreview } from './reconstruction.ts';
import type { Trained } from './trained.ts';

/** Training of a VQVAE, from nothing or from one that is there. */
export async function vqvaeStage(run: VqvaeRun, { heldOut, ...chosen }: TrainingData): Promise<Trained> {
  const { loss, seed, preview, training } = run;
  const vqvae = run.from === undefined ? new Vqvae(vqvaeConfig(run.vqvae!), { seed }) : await begun(run.from, run);
  const sizes = sizesOf(run, vqvae.config);
  const shown = { ...(heldOut ?? chosen), batch: training.batch, size: sizes };
  const { decoderOnly } = run;
  const options = { ...loss, seed, decoderOnly, perceptual: await perceptualLoss(run), adversary: adversary(run) };
  return {
    stage: new VqvaeStage(vqvae, options),
    sizes,
    measure: reconstructionOf(vqvae),
    ...(preview && { preview: reconstructionPreview(vqvae, preview, shown) }),
  };
}

/** The VQVAE of a folder. @throws Error naming the folder if it holds none. */
async function begun(folder: string, { changes, seed }: VqvaeRun): Promise<Vqvae> {
  if (!(await hasWeights(folder)))
    throw new Error(
      `train: from must name the folder of a VQVAE, with config.json and model.safetensors, got ${folder}. Name the model of a run, or the vqvae folder of a whole model.`,
    );
  return loadVqvae(folderFiles(folder), { ...(changes && { changes: changes as VqvaeChanges }), seed });
}

/** @throws Error that says where the weights come from, if the folder has none. */
async function perceptualLoss({ loss: { perceptual } }: VqvaeRun): Promise<VqvaeStageOptions['perceptual']> {
  if (!perceptual) return undefined;
  const { folder, weight } = perceptual;
  if (!(await hasWeights(folder)))
    throw new Error(
      `train: loss.perceptual.folder must name a folder with model.safetensors, got ${folder}.\nIt needs ${publishedNetworks.lpips}`,
    );
  const lpips = await loadLpips((file) => readFile(join(folder, file)));
  return { weight, distance: (got_BHW3, want_BHW3) => lpips.forward(got_BHW3, want_BHW3) };
}

function adversary({ loss: { adversarial }, training, seed }: VqvaeRun): VqvaeStageOptions['adversary'] {
  if (!adversarial) return undefined;
  const { startStep, weight, learningRate = training.learningRate, channels, layers } = adversarial;
  return {
    discriminator: new Discriminator({ channels, layers }, { seed }),
    weight,
    from: startStep * training.accumulate,
    rate: learningRate / training.learningRate,
  };
}
