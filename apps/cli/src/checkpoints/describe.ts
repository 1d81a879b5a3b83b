import { publishedTextConfig, publishedT5Config } from '@star-webgpu/text-encoder';
import { patchNumberPresets } from '@star-webgpu/vqvae/scales';
import { countOf, type Found, type Kind, kindTitles, lpipsNetwork, sideOf } from './recognise.ts';

/** What a model in a file is, in words: its kind and sizes, and which of the published ones it is. */
export function describeModel(found: Found, patchNumbers?: readonly number[]): string {
  const { sizes, published } = descriptions[found.kind](found, patchNumbers);
  return `${kindTitles[found.kind]}, ${sizes}${published ? `: ${published}` : ''}`;
}

interface Description {
  readonly sizes: string;
  /** The published model that has these sizes. */
  readonly published?: string | undefined;
}

type Describe = (found: Found, patchNumbers: readonly number[] | undefined) => Description;

const side = ({ tensors }: Found, name: string, axis: number): number | undefined => tensors.get(name)?.shape[axis];

/** Picture sides of the presets with a number of scales, or of the one that a file lists. */
function resolutionsOf(scales: number, patchNumbers: readonly number[] | undefined): string[] {
  const presets = Object.entries(patchNumberPresets).filter(([, preset]) => preset.length === scales);
  return presets.filter(([, preset]) => !patchNumbers || String(preset) === String(patchNumbers)).map(([name]) => name);
}

const star: Describe = (found, patchNumbers) => {
  const depth = countOf(found.tensors, /^blocks\.(\d+)\./);
  const [width] = sideOf(found.tensors, 'word_embed.weight', [0]) as [number];
  const scales = side(found, 'lvl_embed.weight', 0) ?? 0;
  const refiner = found.tensors.has('head_logits2.weight');
  const names = [16, 30].includes(depth) && width === 64 * depth ? resolutionsOf(scales, patchNumbers) : [];
  return {
    sizes: `depth ${depth}, width ${width}, ${scales} scales, ${refiner ? 'with' : 'without'} a refiner`,
    published: names.map((name) => `star-${name}-d${depth}${refiner ? '-refiner' : ''}`).join(' or '),
  };
};

const vqvae: Describe = (found) => {
  const [codes, codeWidth] = sideOf(found.tensors, 'quantize.embedding.weight', [0, 0]) as [number, number];
  const channels = side(found, 'encoder.conv_in.weight', 0) ?? 0;
  const published = channels === 160 && codes === 4096 && codeWidth === 32;
  return {
    sizes: `${channels} channels, ${codes} codes of width ${codeWidth}`,
    ...(published && { published: 'vae_ch160v4096z32 of VAR' }),
  };
};

const clipText: Describe = (found) => {
  const layers = countOf(found.tensors, /^text_model\.encoder\.layers\.(\d+)\./);
  const [vocabulary, width] = sideOf(found.tensors, 'text_model.embeddings.token_embedding.weight', [0, 0]) as [
    number,
    number,
  ];
  const same = layers === publishedTextConfig.layers && width === publishedTextConfig.width;
  return {
    sizes: `${layers} layers, width ${width}, ${vocabulary} tokens`,
    ...(same && { published: 'that of Stable Diffusion 2.1' }),
  };
};

const t5: Describe = (found) => {
  const layers = countOf(found.tensors, /^encoder\.block\.(\d+)\./);
  const width = side(found, 'encoder.final_layer_norm.weight', 0) ?? 0;
  const same = layers === publishedT5Config.layers && width === publishedT5Config.width;
  return { sizes: `${layers} layers, width ${width}`, ...(same && { published: 'flan-T5-XL' }) };
};

const clip: Describe = (found) => {
  const layers = countOf(found.tensors, /^vision_model\.encoder\.layers\.(\d+)\./);
  const [width, , patch] = sideOf(found.tensors, 'vision_model.embeddings.patch_embedding.weight', [0, 3, 0]) as [
    number,
    number,
    number,
  ];
  const same = layers === 24 && width === 1024 && patch === 14;
  return {
    sizes: `image tower of ${layers} layers, width ${width}, patches of ${patch} px`,
    ...(same && { published: 'ViT-L/14' }),
  };
};

const inception: Describe = (found) => {
  const [classes, features] = sideOf(found.tensors, 'fc.weight', [0, 0]) as [number, number];
  const same = classes === 1008 && features === 2048;
  return {
    sizes: `${features} features, ${classes} classes`,
    ...(same && { published: 'pt_inception-2015-12-05 of pytorch-fid' }),
  };
};

const lpips: Describe = ({ tensors }) => {
  const whole = tensors.has('lin0.model.1.weight');
  return { sizes: `${lpipsNetwork(tensors)} ${whole ? 'with' : 'without'} the weights of its layers` };
};

const descriptions: Readonly<Record<Kind, Describe>> = {
  star,
  vqvae,
  'clip-text': clipText,
  t5,
  clip,
  inception,
  lpips,
};
