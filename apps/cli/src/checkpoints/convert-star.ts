import {
  loadStar,
  publishedRefiner,
  Star,
  type StarConfig,
  starConfig,
  transferScales,
  unusedStarWeights,
} from '@star-webgpu/star-transformer';
import { jsonFile, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import type { TorchValue } from '@star-webgpu/tensor-webgpu/torch';
import { patchNumberPresets, tokenCount } from '@star-webgpu/vqvae/scales';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { listedPatchNumbers } from './patch-numbers.ts';
import { recorded, shapesOf } from '../null-device.ts';
import { countOf, type Found, sideOf } from './recognise.ts';

type Tensors = ReadonlyMap<string, StoredTensor>;

/** Tables of what is not trained, in the files of some versions; they may tell the number of tokens. */
const tables = /^lvl_1L$|^attn_bias_for_masking$/;

const refinerNames =
  /^(word_embed_head|lvl_embed_2|encoder_proj2|pos_start_last|head_proj|feat_extract_blocks|head_logits2)\b/;

/** Patch numbers of a file: by its config, by its tables, or by its number of scales where only one preset has that many. */
function patchNumbersOf(tensors: Tensors, value: TorchValue | undefined): readonly number[] | undefined {
  const listed = listedPatchNumbers(value);
  if (listed) return listed;
  const scales = tensors.get('lvl_embed.weight')?.shape[0];
  const tokens = tensors.get('lvl_1L')?.shape.at(-1);
  const fitting = Object.values(patchNumberPresets).filter(
    (preset) => preset.length === scales && (tokens === undefined || tokenCount(preset) === tokens),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** The config of a file's tensors. @throws Error where the patch numbers cannot be told */
function configOf({ tensors }: Found, value: TorchValue | undefined, options: ConversionOptions): StarConfig {
  if (options.own) return ownConfigOf(tensors, options.own as unknown as StarConfig, options);
  const [width, codeWidth] = sideOf(tensors, 'word_embed.weight', [1024, 32]) as [number, number];
  const [codebookSize] = sideOf(tensors, 'head_logits.weight', [4096]) as [number];
  const [, textWidth] = sideOf(tensors, 'encoder_proj.weight', [width, 1024]) as [number, number];
  const [, heads] = sideOf(tensors, 'blocks.0.attn.scale_mul_1H11', [1, width / 64]) as [number, number];
  const [hidden] = sideOf(tensors, 'blocks.0.ffn.fc1.weight', [4 * width]) as [number];
  const patchNumbers = options.patchNumbers ?? patchNumbersOf(tensors, value);
  if (!patchNumbers) throw new Error(unknownPatchNumbers(tensors));
  const refiner = refinerOf(tensors, options);
  return starConfig({
    patchNumbers,
    depth: countOf(tensors, /^blocks\.(\d+)\./),
    width,
    heads,
    mlpRatio: hidden / width,
    textWidth,
    codeWidth,
    codebookSize,
    crossAttention: options.crossAttention ?? 'first-sample',
    ...(refiner && { refiner }),
  });
}

const unknownPatchNumbers = (tensors: Tensors): string =>
  `convert: patch numbers must be known, got a file with ${tensors.get('lvl_embed.weight')?.shape[0] ?? 'no'} scales and no list of them. Say --resolution ${Object.keys(patchNumberPresets).join(' or ')}, or --patch-numbers 1,2,3.`;

/** The config of a folder of ours with what was asked for otherwise. @throws Error listing what is wrong with it */
function ownConfigOf(
  tensors: Tensors,
  { refiner: stored, ...own }: StarConfig,
  { patchNumbers = own.patchNumbers, crossAttention = own.crossAttention, ...options }: ConversionOptions,
): StarConfig {
  const refiner = refinerOf(tensors, { ...options, sampleFrom: options.sampleFrom ?? stored?.sampleFrom });
  return starConfig({ ...own, patchNumbers, crossAttention, ...(refiner && { refiner }) });
}

function refinerOf(
  tensors: Tensors,
  { refiner, sampleFrom = publishedRefiner.sampleFrom }: { refiner: boolean; sampleFrom?: number | undefined },
): StarConfig['refiner'] | undefined {
  const depth = countOf(tensors, /^feat_extract_blocks\.(\d+)\./);
  if (!refiner || !(depth || tensors.has('head_logits2.weight'))) return undefined;
  return { depth: depth || publishedRefiner.depth, sampleFrom };
}

/** A STAR of ours from published tensors, at the file's resolution or another. */
export function convertStar(found: Found, value: TorchValue | undefined, options: ConversionOptions): Conversion {
  const config = configOf(found, value, options);
  const { weights, notes } = transferScales(found.tensors, config, options.seed);
  const unused = [unusedStarWeights.source, tables.source, ...(config.refiner ? [] : [refinerNames.source])].join('|');
  return {
    kind: 'star',
    title: titleOf(config),
    files: new Map([['config.json', jsonFile(config)]]),
    weights,
    unused: new RegExp(unused),
    shapes: shapesOf(recorded(() => new Star(config))),
    load: loadStar,
    notes,
  };
}

/** A config in words: depth, width, scales and pixels. */
function titleOf({ depth, width, patchNumbers, refiner }: StarConfig): string {
  const px = 16 * patchNumbers.at(-1)!;
  return `STAR of depth ${depth} and width ${width} for ${px} px (${patchNumbers.length} scales)${refiner ? ', with a refiner' : ''}`;
}
