import { readFile } from 'node:fs/promises';
import { loadLpips, type MetricRow } from '@star-webgpu/metrics';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadVqvae } from '@star-webgpu/vqvae';
import { networkFolder } from './networks.ts';
import { codebookRows, lpipsRows, reconstructionPairs, reconstructionRows } from './pairs.ts';
import { isStatistics, openSource } from './sources.ts';

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
  const keys = flags.keysFile ? (await readFile(flags.keysFile, 'utf8')).split(/\r?\n/).filter(Boolean) : undefined;
  const source = await openSource('--pictures', flags.pictures, keys);
  if (isStatistics(source))
    throw new Error(`evaluate: --pictures must name pictures, got the statistics ${flags.pictures}.`);
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
