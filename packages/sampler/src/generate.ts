import { concat, currentDevice, expand, noGrad, scope, type Tensor } from '@star-webgpu/tensor-webgpu';
import { disposeCache, disposePast, type KvCache, type Star } from '@star-webgpu/star-transformer';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import type { Vqvae } from '@star-webgpu/vqvae';
import { checkModels } from './check-models.ts';
import { draw } from './draw.ts';
import { guidanceStrength, guide } from './guidance.ts';
import { type Pictures, toPictures } from './image.ts';
import { type ResolvedOptions, resolveOptions, type SamplingOptions } from './options.ts';

/** The transformer that predicts tokens, and the VQVAE whose tokens they are. */
export interface Models {
  readonly star: Star;
  readonly vqvae: Vqvae;
}

/** What to draw, and what guidance leads away from. */
export interface GuidedText {
  /** Features of B prompts. */
  readonly conditional: TextFeatures;
  /** Features of the empty prompt: one row, or B. */
  readonly unconditional: TextFeatures;
}

/** A scale that has just been drawn. Its tensors live until the next one is asked for. */
export interface ScaleStep {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Side of its token map. */
  readonly side: number;
  /** Tokens, u32 [B, side^2]. */
  readonly indices_Bl: Tensor;
  /** The latent map so far: the sum of all scales up to this one. [B, h, w, Z]. */
  readonly sum_BhwZ: Tensor;
  /** The pictures so far; finished ones at the last scale. */
  decode(): Promise<Pictures>;
}

/** What one scale hands to the next. */
interface State {
  readonly cache: KvCache;
  readonly indices_Bl?: Tensor;
  readonly sum_BhwZ?: Tensor;
  readonly next_BlZ?: Tensor;
}

/** A state after at least one scale. */
type Drawn = State & Required<Pick<State, 'indices_Bl' | 'sum_BhwZ'>>;

/**
 * Draws pictures scale by scale (STAR, arXiv 2406.10797; VAR, arXiv 2404.02905): the caller decides what to show, when to decode and when to stop.
 * A scale is given out once the device has finished it.
 * @throws SamplingOptionsError, ModelsError, or the signal's reason; the memory of the sampling is freed in any case.
 */
export async function* generate(
  models: Models,
  text: GuidedText,
  options: SamplingOptions = {},
): AsyncGenerator<ScaleStep, void, undefined> {
  checkModels(models, text.conditional.states.shape[2]!);
  const resolved = resolveOptions(options, text.conditional.pooled.shape[0]!);
  resolved.signal?.throwIfAborted();
  const joined = joinText(text, resolved.guidance > 0);
  let state: State = start(models, joined);
  try {
    for (const [scale, side] of models.star.config.patchNumbers.entries()) {
      const drawn = advance(models, state, resolved);
      state = drawn;
      await currentDevice().idle();
      const { indices_Bl, sum_BhwZ } = drawn;
      yield { scale, side, indices_Bl, sum_BhwZ, decode: () => decode(models.vqvae, sum_BhwZ) };
      resolved.signal?.throwIfAborted();
    }
  } finally {
    disposeScale(state);
    disposeCache(state.cache);
    for (const tensor of Object.values(joined) as Tensor[]) tensor.dispose();
  }
}

const start = ({ star }: Models, text: TextFeatures): State => ({
  cache: scope(() => noGrad(() => star.startCache(text))),
});

/** Features of the prompts, then of as many empty ones where guidance wants them; copies, or views of the prompts'. */
function joinText({ conditional, unconditional }: GuidedText, guided: boolean): TextFeatures {
  const join = (first: Tensor, second: Tensor): Tensor =>
    guided ? concat([first, expand(second, first.shape)], 0) : first.view(first.shape, first.strides);
  return scope(() =>
    noGrad(() => ({
      states: join(conditional.states, unconditional.states),
      mask: join(conditional.mask, unconditional.mask),
      pooled: join(conditional.pooled, unconditional.pooled),
    })),
  );
}

/** Predicts, guides, filters and draws one scale; frees the state before it. */
function advance({ star, vqvae }: Models, before: State, options: ResolvedOptions): Drawn {
  const { scale } = before.cache;
  const scales = star.config.patchNumbers.length;
  const B = options.seeds.length;
  const strength = guidanceStrength(options.guidance, scale, scales);
  const { quantizer } = vqvae;
  const after = scope(() =>
    noGrad(() => {
      const input =
        before.next_BlZ && (options.guidance > 0 ? concat([before.next_BlZ, before.next_BlZ], 0) : before.next_BlZ);
      const { logits_BlV, cache } = star.step(before.cache, input);
      const { indices_Bl, codes_BlZ } = draw(
        guide(logits_BlV, B, strength),
        quantizer.codebook,
        { scale, scales },
        options,
      );
      return { cache, indices_Bl, ...quantizer.nextInput(scale, codes_BlZ, before.sum_BhwZ) };
    }),
  );
  disposeScale(before);
  disposePast(before.cache);
  return after;
}

function disposeScale({ indices_Bl, sum_BhwZ, next_BlZ }: State): void {
  for (const tensor of [indices_Bl, sum_BhwZ, next_BlZ]) tensor?.dispose();
}

async function decode(vqvae: Vqvae, sum_BhwZ: Tensor): Promise<Pictures> {
  const images_BHW3 = scope(() => noGrad(() => vqvae.decode(sum_BhwZ)));
  try {
    return await toPictures(images_BHW3);
  } finally {
    images_BHW3.dispose();
  }
}
