import type { StoredTensor } from '@star-webgpu/tensor-webgpu';

/** Kinds of models that can be converted. */
export const kinds = ['star', 'vqvae', 'clip-text', 't5', 'clip', 'inception', 'lpips'] as const;
export type Kind = (typeof kinds)[number];

/** What a kind is called. */
export const kindTitles: Readonly<Record<Kind, string>> = {
  star: 'STAR transformer',
  vqvae: 'multi-scale VQVAE',
  'clip-text': 'CLIP text encoder',
  t5: 'T5 encoder',
  clip: 'CLIP with both towers',
  inception: 'Inception of FID',
  lpips: 'LPIPS',
};

/** A model inside a file: what it is, where its names begin, and its tensors by their names from there on. */
export interface Found {
  readonly kind: Kind;
  /** What stands before the names, with a dot at its end; empty where they begin at once. */
  readonly prefix: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

interface Mark {
  readonly kind: Kind;
  /** A tensor that every such model has. */
  readonly anchor: string;
  /** Others of which one at least must be there, so that a file with a gap is still told what it lacks. */
  readonly with: readonly string[];
  /** Others that make it a model of another kind. */
  readonly without?: readonly string[];
}

const clipText = 'text_model.embeddings.token_embedding.weight';
const clipVision = 'visual_projection.weight';
const lpipsLayer = 'lin0.model.1.weight';

const marks: readonly Mark[] = [
  {
    kind: 'star',
    anchor: 'word_embed.weight',
    with: ['lvl_embed.weight', 'head_logits.weight', 'encoder_proj.weight'],
  },
  { kind: 'vqvae', anchor: 'quantize.embedding.weight', with: ['encoder.conv_in.weight', 'decoder.conv_out.weight'] },
  { kind: 'clip', anchor: clipText, with: [clipVision] },
  { kind: 'clip-text', anchor: clipText, with: [], without: [clipVision] },
  { kind: 't5', anchor: 'encoder.block.0.layer.0.SelfAttention.q.weight', with: ['encoder.final_layer_norm.weight'] },
  { kind: 'inception', anchor: 'Conv2d_1a_3x3.conv.weight', with: ['Mixed_5b.branch1x1.conv.weight'] },
  { kind: 'lpips', anchor: lpipsLayer, with: ['net.slice1.0.weight', 'features.0.weight'] },
  // torchvision's VGG-16 and AlexNet
  {
    kind: 'lpips',
    anchor: 'features.0.weight',
    with: ['features.28.weight', 'features.10.weight'],
    without: [lpipsLayer],
  },
];

/** Which network LPIPS looks with, by the window of its first layer. */
export function lpipsNetwork(tensors: ReadonlyMap<string, StoredTensor>): 'alexnet' | 'vgg16' {
  const first = tensors.get('features.0.weight') ?? tensors.get('net.slice1.0.weight');
  return first?.shape[2] === 11 ? 'alexnet' : 'vgg16';
}

/** Names as the model has them: torch.compile puts `_orig_mod.` into them wherever it was applied. */
const plainNames = (tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> =>
  new Map([...tensors].map(([name, tensor]) => [name.replaceAll('_orig_mod.', ''), tensor]));

/** Every model that a file holds, in the order of the kinds. */
export function findModels(tensors: ReadonlyMap<string, StoredTensor>): Found[] {
  const plain = plainNames(tensors);
  return marks.flatMap(({ kind, anchor, with: needed, without = [] }) =>
    prefixesOf(plain, anchor)
      .filter((prefix) => !needed.length || needed.some((name) => plain.has(prefix + name)))
      .filter((prefix) => !without.some((name) => plain.has(prefix + name)))
      .map((prefix) => ({ kind, prefix, tensors: under(plain, prefix) })),
  );
}

/** What stands before an anchor, at every place where it is. */
const prefixesOf = (tensors: ReadonlyMap<string, StoredTensor>, anchor: string): string[] =>
  [...tensors.keys()]
    .filter((name) => name === anchor || name.endsWith(`.${anchor}`))
    .map((name) => name.slice(0, name.length - anchor.length));

const under = (tensors: ReadonlyMap<string, StoredTensor>, prefix: string): Map<string, StoredTensor> =>
  new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );

/** Number of different values that a pattern's first group has in the names: blocks, levels, layers. */
export const countOf = (tensors: ReadonlyMap<string, StoredTensor>, pattern: RegExp): number =>
  new Set([...tensors.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;

/** A side of a tensor's shape; where it is missing the published one, so that all that is missing is reported together. */
export const sideOf = (
  tensors: ReadonlyMap<string, StoredTensor>,
  name: string,
  published: readonly number[],
): number[] => published.map((side, axis) => tensors.get(name)?.shape[axis] ?? side);
