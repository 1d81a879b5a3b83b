import { copyFile, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostFloats, hostTensor, type Shape, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import {
  type FileParts,
  goldenWeights,
  hashedValues,
  loadGoldenJson,
  type Manifest,
  torchParts,
  type Written,
  writtenHole,
  WrittenFloat,
  WrittenOrdered,
  WrittenTensor,
  writtenTensor,
  WrittenTuple,
} from '@star-webgpu/tensor-webgpu/testing';

/** Writes a file; its holes take no space. */
export async function writeParts(path: string, { size, parts }: FileParts): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  for (const { at, bytes } of parts) await file.write(bytes, 0, bytes.byteLength, at);
  await file.truncate(size);
  await file.close();
}

const packages = new URL('../../../../packages/', import.meta.url);

/** Values of a tensor of a manifest of the published code. */
export type Published = ReadonlyMap<string, { readonly shape: Shape; readonly values: Float32Array }>;

const sizeOf = (shape: Shape): number => shape.reduce((product, side) => product * side, 1);

/** The state_dict that a manifest lists: names, shapes and order of PyTorch's modules, hashed values. */
async function stateDict(path: string): Promise<Published> {
  const weights = goldenWeights(await loadGoldenJson<Manifest>(new URL(path, packages)));
  return new Map([...weights].map(([name, host]) => [name, { shape: host.shape, values: hostFloats(host) }]));
}

/** A STAR of three blocks and a refiner, over scales 1 2 4 8. */
export const publishedStar = (): Promise<Published> => stateDict('star-transformer/test/golden/star_manifest.json');

/** A VQVAE of five levels. */
export const publishedVqvae = (): Promise<Published> => stateDict('vqvae/test/golden/vqvae_manifest.json');

/** A shape with other sides, by a table. */
const otherSides = (shape: Shape, sides: Readonly<Record<number, number>>): number[] =>
  shape.map((side) => sides[side] ?? side);

/** The same names as holes, for models that are large on paper only. */
export const holesOf = (tensors: Published, sides: Readonly<Record<number, number>>): WrittenOrdered =>
  new WrittenOrdered([...tensors].map(([name, { shape }]) => [name, writtenHole('F32', otherSides(shape, sides))]));

/** The same state_dict with other sides: each side of a shape that the table names is replaced. */
export const resized = (tensors: Published, sides: Readonly<Record<number, number>>): Published =>
  new Map(
    [...tensors].map(([name, { shape }]) => {
      const other = otherSides(shape, sides);
      return [name, { shape: other, values: hashedValues(`resized/${name}`, sizeOf(other), 0.1) }];
    }),
  );

/** A CLIP text tower for a tokenizer of 900 tokens, of width 32. */
const publishedText = async (): Promise<Published> =>
  resized(await stateDict('text-encoder/test/golden/clip_text_manifest.json'), { 100: 900, 64: 32, 256: 128 });

/** Both towers of a CLIP, with the projections. */
export const publishedClip = async (): Promise<Published> =>
  new Map([
    ...resized(await stateDict('text-encoder/test/golden/clip_text_manifest.json'), { 100: 900 }),
    ...(await stateDict('metrics/test/golden/clip_vision_manifest.json')),
  ]);

/** A T5 encoder for a tokenizer of 700 tokens. */
export const publishedT5 = async (): Promise<Published> =>
  resized(await stateDict('text-encoder/test/golden/t5_manifest.json'), { 90: 704 });

/** Indices of the convolutions in torchvision's `features`, with a sixteenth of their filters; and filters at the five places that LPIPS compares. */
const lpipsLayouts = {
  alexnet: {
    windows: [11, 5, 3, 3, 3],
    indices: [0, 3, 6, 8, 10],
    filters: [4, 12, 24, 16, 16],
    compared: [4, 12, 24, 16, 16],
  },
  vgg16: {
    windows: new Array<number>(13).fill(3),
    indices: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    filters: [4, 4, 8, 8, 16, 16, 16, 32, 32, 32, 32, 32, 32],
    compared: [4, 8, 16, 32, 32],
  },
} as const;

/** A small network of torchvision with its classifier, and the weights of LPIPS's layers, each as it is published. */
export function publishedLpips(network: keyof typeof lpipsLayouts): {
  readonly network: Published;
  readonly layers: Published;
} {
  const { windows, indices, filters, compared } = lpipsLayouts[network];
  const shapes = new Map<string, Shape>();
  indices.forEach((index, i) => {
    shapes.set(`features.${index}.weight`, [filters[i]!, filters[i - 1] ?? 3, windows[i]!, windows[i]!]);
    shapes.set(`features.${index}.bias`, [filters[i]!]);
  });
  shapes.set('classifier.6.bias', [10]);
  const lins = new Map(compared.map((width, i) => [`lin${i}.model.1.weight`, [1, width, 1, 1]]));
  const filled = (named: ReadonlyMap<string, Shape>): Published =>
    new Map([...named].map(([name, shape]) => [name, { shape, values: hashedValues(name, sizeOf(shape)) }]));
  return { network: filled(shapes), layers: filled(lins) };
}

/** Names of the refiner's parameters. */
export const refinerNames =
  /^(word_embed_head|lvl_embed_2|encoder_proj2|pos_start_last|head_proj|feat_extract|head_logits2)/;

/** A state_dict as torch saves it, with other tensors behind. */
export const written = (tensors: Published, others: Readonly<Record<string, WrittenTensor>> = {}): WrittenOrdered =>
  new WrittenOrdered([
    ...[...tensors].map(([name, { shape, values }]) => [name, writtenTensor(hostTensor(values, shape))] as const),
    ...Object.entries(others),
  ]);

/** Float tensor of ones, for buffers that nothing reads. */
export const buffer = (...shape: number[]): WrittenTensor =>
  writtenTensor(hostTensor(new Float32Array(sizeOf(shape)).fill(1), shape));

interface TrainerParts {
  readonly patchNumbers: readonly number[];
  readonly vqvae?: WrittenOrdered;
  readonly moments?: ReadonlyMap<number, Written>;
}

/** A whole training checkpoint as it is published: `{epoch, iter, trainer: {config, var_wo_ddp, vae_local, var_opt}}`. */
export function trainerCheckpoint(
  star: WrittenOrdered,
  { patchNumbers, vqvae = new WrittenOrdered(), moments = adamStates(star) }: TrainerParts,
): Map<string, Written> {
  const group = new Map<string, Written>([
    ['lr', 1e-4],
    ['betas', new WrittenTuple([0.9, 0.95])],
    ['params', [...moments.keys()]],
  ]);
  const optimizer = new Map<string, Written>([
    ['state', moments],
    ['param_groups', [group]],
  ]);
  const config = new Map<string, Written>([
    ['patch_nums', new WrittenTuple(patchNumbers)],
    ['resos', new WrittenTuple(patchNumbers.map((side) => 16 * side))],
    ['label_smooth', new WrittenFloat(0)],
    ['prog_it', 0],
    ['last_prog_si', -1],
    ['first_prog', true],
  ]);
  const trainer = new Map<string, Written>([
    ['config', config],
    ['var_wo_ddp', star],
    ['vae_local', vqvae],
    [
      'var_opt',
      new Map<string, Written>([
        ['optimizer', optimizer],
        ['scaler', null],
      ]),
    ],
  ]);
  return new Map<string, Written>([
    ['epoch', 3],
    ['iter', 0],
    ['trainer', trainer],
  ]);
}

/** What an optimizer keeps of the first parameters. */
const adamStates = (star: WrittenOrdered): Map<number, Written> =>
  new Map([...star].slice(0, 3).map(([, tensor], i) => [i, adamState(tensor as WrittenTensor)]));

const adamState = ({ shape }: WrittenTensor): Map<string, Written> =>
  new Map([
    ['step', buffer()],
    ['exp_avg', buffer(...shape)],
    ['exp_avg_sq', buffer(...shape)],
  ]);

/** Buffers that published files hold beside the parameters of a STAR. */
export const starBuffers = (blocks: number, width: number): Record<string, WrittenTensor> => ({
  'class_emb.weight': buffer(1001, width),
  freqs_cis: buffer(1, 85, width / 4, 2),
  ...Object.fromEntries(Array.from({ length: blocks }, (_, i) => [`blocks.${i}.attn.zero_k_bias`, buffer(width)])),
});

/** The checkpoint of the small STAR with all that a published one has. */
export async function smallCheckpoint({ refiner = true } = {}): Promise<FileParts> {
  const star = new Map([...(await publishedStar())].filter(([name]) => refiner || !refinerNames.test(name)));
  const vqvae = written(await publishedVqvae(), { 'quantize.ema_vocab_hit_SV': buffer(10, 64) });
  return torchParts(trainerCheckpoint(written(star, starBuffers(3, 128)), { patchNumbers: [1, 2, 4, 8], vqvae }));
}

const clipTextConfig = {
  architectures: ['CLIPTextModel'],
  model_type: 'clip_text_model',
  vocab_size: 900,
  hidden_size: 32,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 16,
  hidden_act: 'gelu',
  eos_token_id: 2,
  torch_dtype: 'float32',
};

/** The two folders of Stable Diffusion's text encoder: `text_encoder/` beside `tokenizer/`. */
export async function textFolder(folder: string): Promise<void> {
  await copyTokenizer('clip-tokenizer', join(folder, 'tokenizer'));
  const ids = new WrittenTensor({ dtype: 'I64', elements: 16, values: new Uint8Array(128) }, { shape: [1, 16] });
  const weights = written(await publishedText(), { 'text_model.embeddings.position_ids': ids });
  await writeParts(join(folder, 'text_encoder/pytorch_model.bin'), torchParts(weights));
  await writeFile(join(folder, 'text_encoder/config.json'), JSON.stringify(clipTextConfig));
}

/** A T5 as it is published: with its decoder, its weights in shards of PyTorch files. */
export async function t5Folder(folder: string): Promise<void> {
  await copyTokenizer('t5-tokenizer', folder);
  const tensors = [...written(await publishedT5(), { 'decoder.block.0.x': buffer(2), 'lm_head.weight': buffer(3) })];
  const shards = [tensors.slice(0, 9), tensors.slice(9)];
  const nameOf = (i: number): string => `pytorch_model-0000${i + 1}-of-00002.bin`;
  for (const [i, shard] of shards.entries())
    await writeParts(join(folder, nameOf(i)), torchParts(new WrittenOrdered(shard)));
  const map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(([name]) => [name, nameOf(i)])));
  await writeFile(join(folder, 'pytorch_model.bin.index.json'), JSON.stringify({ metadata: {}, weight_map: map }));
  await writeFile(join(folder, 'config.json'), JSON.stringify(t5Config));
}

const t5Config = {
  architectures: ['T5ForConditionalGeneration'],
  model_type: 't5',
  vocab_size: 704,
  d_model: 48,
  d_ff: 96,
  d_kv: 16,
  num_heads: 3,
  num_layers: 2,
  feed_forward_proj: 'gated-gelu',
  layer_norm_epsilon: 1e-6,
  relative_attention_num_buckets: 32,
};

/** A CLIP with both towers, its weights in shards of safetensors files. */
export async function clipFolder(folder: string): Promise<void> {
  await copyTokenizer('clip-tokenizer', folder);
  const tensors = [...(await publishedClip())].map(
    ([name, { shape, values }]) => [name, hostTensor(values, shape)] as const,
  );
  const shards = [
    tensors.slice(0, 20),
    [...tensors.slice(20), ['logit_scale', hostTensor(new Float32Array(1), [])] as const],
  ];
  const nameOf = (i: number): string => `model-0000${i + 1}-of-00002.safetensors`;
  for (const [i, shard] of shards.entries())
    await writeFile(join(folder, nameOf(i)), writeSafetensors(new Map(shard), { format: 'pt' }));
  const map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(([name]) => [name, nameOf(i)])));
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }));
  const text = { ...clipTextConfig, hidden_size: 64, intermediate_size: 256, hidden_act: 'quick_gelu' };
  const vision = {
    hidden_size: 64,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 32,
    patch_size: 8,
  };
  const config = { model_type: 'clip', text_config: text, vision_config: vision, projection_dim: 48 };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}

async function copyTokenizer(name: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const from = fileURLToPath(new URL(`text-encoder/test/golden/${name}`, packages));
  for (const file of await readdir(from)) if (file !== 'ids.json') await copyFile(join(from, file), join(to, file));
}

/** A file of a package's goldens. */
export const goldenFile = (path: string): Promise<Uint8Array> => readFile(new URL(path, packages));
