import { noGrad, scope, tensor, type Tensor } from '@star-webgpu/tensor-webgpu';
import { imageSize, latentSize, type Ratio, type Vqvae } from '@star-webgpu/vqvae';
import type { ScaleStep } from './generate.ts';
import { fromPictures, type Pictures } from './image.ts';
import { SamplingOptionsError } from './options.ts';
import { generateFromPrompts, type PromptModels, type PromptOptions } from './generate-from-prompts.ts';
import type { Prompt } from './prompts.ts';
import { type KeepOptions, type Region, tokenWeights, wholeRegion } from './region.ts';

/** A picture of the model's size at the ratio, and what to draw in it: one result a prompt. */
export interface EditedPicture {
  readonly picture: Pictures;
  readonly prompts: readonly Prompt[];
}

/** How a picture is changed. */
export interface EditOptions extends PromptOptions, KeepOptions {
  /** What is drawn anew, at the picture's size; all of it by default, which only makes sense with `keepScales`. */
  readonly region?: Region;
}

/**
 * Draws a region of a picture anew by each prompt, scale by scale, without training: at every scale the tokens outside the region stay
 * those of the given picture. The picture has the model's size at the ratio asked for; what is drawn has its tokens' detail outside as well: `pasteOutside` puts the pixels back.
 * @throws SamplingOptionsError if sizes do not fit
 */
export async function* editPicture(
  models: PromptModels,
  { picture, prompts }: EditedPicture,
  { region = wholeRegion(picture), keepScales, redrawFrom, feather, ...options }: EditOptions = {},
): AsyncGenerator<ScaleStep, void, undefined> {
  const { patchNumbers } = models.vqvae.config;
  checkSizes(models.vqvae, { picture, region, ratio: options.ratio });
  const weights = tokenWeights(region, patchNumbers, {
    latent: latentSize(patchNumbers, options.ratio),
    ...(keepScales !== undefined && { keepScales }),
    ...(redrawFrom !== undefined && { redrawFrom }),
    ...(feather !== undefined && { feather }),
  });
  const given = {
    tokens_BL: encodePicture(models.vqvae, picture),
    weights_BL: tensor(weights, [1, weights.length]),
  };
  try {
    yield* generateFromPrompts(models, prompts, { ...options, given });
  } finally {
    given.tokens_BL.dispose();
    given.weights_BL.dispose();
  }
}

/** Tokens of pictures, all scales in sequence. u32 [B, L]. */
export const encodePicture = (vqvae: Vqvae, pictures: Pictures): Tensor =>
  scope(() => noGrad(() => vqvae.imageToTokens(fromPictures(pictures))));

function checkSizes(
  { config }: Vqvae,
  { picture, region, ratio }: { picture: Pictures; region: Region; ratio: Ratio | undefined },
): void {
  const wanted = imageSize(config, ratio);
  const sizeOf = ({ width, height }: { readonly width: number; readonly height: number }): string =>
    `${width} x ${height}`;
  const faults = [
    ...(picture.count === 1 ? [] : [`${picture.count} pictures instead of 1`]),
    ...(sizeOf(picture) === sizeOf(wanted)
      ? []
      : [`a picture of ${sizeOf(picture)} pixels instead of the model's ${sizeOf(wanted)}`]),
    ...(sizeOf(region) === sizeOf(picture)
      ? []
      : [`a region of ${sizeOf(region)} pixels instead of the picture's ${sizeOf(picture)}`]),
  ];
  if (faults.length) throw new SamplingOptionsError(faults);
}
