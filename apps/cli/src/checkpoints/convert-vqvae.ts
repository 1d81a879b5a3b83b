import { jsonFile, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import {
  loadVqvae,
  publishedConfig,
  unusedVqvaeWeights,
  Vqvae,
  type VqvaeConfig,
  vqvaeConfig,
} from '@star-webgpu/vqvae';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { recorded, shapesOf } from '../null-device.ts';
import { countOf, type Found, sideOf } from './recognise.ts';

type Tensors = ReadonlyMap<string, StoredTensor>;

/** How many phi convolutions a file shares, by their names. */
function phisOf(tensors: Tensors): number {
  if (tensors.has('quantize.quant_resi.qresi.weight')) return 1;
  return countOf(tensors, /^quantize\.quant_resi\.qresi_ls\.(\d+)\./);
}

function configOf({ tensors }: Found, patchNumbers: readonly number[]): VqvaeConfig {
  const [channels] = sideOf(tensors, 'encoder.conv_in.weight', [publishedConfig.channels]) as [number];
  const [codebookSize, codeWidth] = sideOf(tensors, 'quantize.embedding.weight', [4096, 32]) as [number, number];
  const levels = countOf(tensors, /^encoder\.down\.(\d+)\./) || publishedConfig.channelMultipliers.length;
  const multiplierOf = (level: number): number => {
    const published = channels * (publishedConfig.channelMultipliers[level] ?? 1);
    return sideOf(tensors, `encoder.down.${level}.block.0.conv1.weight`, [published])[0]! / channels;
  };
  return vqvaeConfig({
    channels,
    channelMultipliers: Array.from({ length: levels }, (_, level) => multiplierOf(level)),
    residualBlocks: countOf(tensors, /^encoder\.down\.0\.block\.(\d+)\./) || publishedConfig.residualBlocks,
    attention: countOf(tensors, /^encoder\.mid\.(attn_1)\./) > 0,
    codebookSize,
    codeWidth,
    patchNumbers,
    phis: phisOf(tensors),
  });
}

/** A VQVAE of ours from published tensors; the patch numbers are those of the transformer that it will serve. */
export function convertVqvae(
  found: Found,
  { own, patchNumbers: asked }: Pick<ConversionOptions, 'own' | 'patchNumbers'>,
): Conversion {
  const config = own
    ? vqvaeConfig({ ...own, ...(asked && { patchNumbers: asked }) })
    : configOf(found, asked ?? publishedConfig.patchNumbers);
  const { patchNumbers } = config;
  return {
    kind: 'vqvae',
    title: `VQVAE of ${config.codebookSize} codes of ${config.codeWidth} channels, token maps up to ${patchNumbers.at(-1)!} x ${patchNumbers.at(-1)!}`,
    files: new Map([['config.json', jsonFile(config)]]),
    weights: found.tensors,
    unused: unusedVqvaeWeights,
    shapes: shapesOf(recorded(() => new Vqvae(config))),
    load: loadVqvae,
    notes: [],
  };
}
