import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasWeights } from '../has-weights.ts';
import { modelDigest } from './identity.ts';

/** A network that some metrics look at pictures with. */
export type NetworkName = 'inception' | 'clip' | 'lpips';

/** Which files a network needs, where they are published, and how they become a folder. */
export const publishedNetworks: Readonly<Record<NetworkName, string>> = {
  inception: `the FID Inception weights. Fetch pt_inception-2015-12-05-6726825d.pth from
  https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights
and run: star convert pt_inception-2015-12-05-6726825d.pth --out FOLDER`,
  clip: `a CLIP model. Fetch the folder
  https://huggingface.co/openai/clip-vit-large-patch14
and run: star convert clip-vit-large-patch14 --out FOLDER`,
  lpips: `LPIPS weights. Fetch the network and the weights of its layers,
  https://download.pytorch.org/models/vgg16-397923af.pth (or alexnet-owt-7be5be79.pth)
  https://github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1/vgg.pth, or alex.pth)
and run: star convert vgg16-397923af.pth --lpips-weights vgg.pth --out FOLDER`,
};

/** Metrics by the network that they need. */
const metricsOf: Readonly<Record<NetworkName | 'none', readonly string[]>> = {
  inception: ['fid', 'kid', 'is', 'pr'],
  clip: ['clip'],
  lpips: ['lpips'],
  none: ['psnr', 'ssim', 'codebook', 'retrieval'],
};

/** What a person without weights is told. */
export const weightsAdvice = (network: NetworkName): string =>
  `It needs ${publishedNetworks[network]}
Without any weights: ${metricsOf.none.join(', ')}.`;

/** A reader of a network's folder. @throws Error with advice if the folder was not given or has no weights. */
export async function networkFolder(
  network: NetworkName,
  folder: string | undefined,
): Promise<{ read: (file: string) => Promise<Uint8Array>; identity: string }> {
  const asked = metricsOf[network].join(', ');
  if (folder === undefined)
    throw new Error(`evaluate: --${network} must name a folder for ${asked}, got none.\n${weightsAdvice(network)}`);
  if (!(await hasWeights(folder)))
    throw new Error(
      `evaluate: --${network} must name a folder with model.safetensors, got ${folder}.\n${weightsAdvice(network)}`,
    );
  return { read: (file) => readFile(join(folder, file)), identity: await modelDigest(folder) };
}
