import { loadLpips, type MetricRow } from '@star-webgpu/metrics';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadVqvae } from '@star-webgpu/vqvae';
import { readKeys } from '../read-keys.ts';
import { networkFolder } from './networks.ts';
import { codebookRows, lpipsRows, reconstructionPairs, reconstructionRows } from './pairs.ts';
import { openPictures } from './sources.ts';

/** What is measured of a VQVAE alone. */
export interface TokenizerFlags {
  readonly pictures: string;
  readonly keysFile?: string;
  readonly take?: number;
  /** Side at which pictures are compared. */
  readonly side?: number;
  readonly lpips?: string;
}

/** How well a VQVAE's folder keeps pictures, and how it uses its codebook, scale by scale. Needs a device. */
export async function measureTokenizer(folder: string, flags: TokenizerFlags): Promise<MetricRow[]> {
  const keys = flags.keysFile ? await readKeys(flags.keysFile) : undefined;
  const source = await openPictures('--pictures', flags.pictures, keys);
  const chosen = { ...source, pictures: source.pictures.slice(0, flags.take) };
  const vqvae = (await loadVqvae(folderFiles(folder))).freeze();
  const lpips = flags.lpips ? await loadLpips((await networkFolder('lpips', flags.lpips)).read) : undefined;
  try {
    const pairs = reconstructionPairs({ vqvae }, chosen, flags.side);
    return [
      ...(await reconstructionRows(pairs, new Set(['psnr', 'ssim']))),
      ...(lpips ? await lpipsRows(pairs, lpips) : []),
      ...(await codebookRows({ vqvae }, chosen, { eachScale: true })),
    ];
  } finally {
    vqvae.dispose();
    lpips?.dispose();
    await source.close();
  }
}
