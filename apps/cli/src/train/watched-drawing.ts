import { type NamedPicture, type Picture, retrieval } from '@star-webgpu/metrics';
import { pictureAt, type Pictures, type PromptModels, type PromptOptions } from '@star-webgpu/sampler';
import type { Star } from '@star-webgpu/star-transformer';
import type { TextEncoder } from '@star-webgpu/text-encoder';
import type { Vqvae } from '@star-webgpu/vqvae';
import type { TokenRun } from './config/parse.ts';
import type { Measure } from './evaluation.ts';
import { picturesOf } from './loaded-pictures.ts';
import { drawPictures, promptPreview } from './preview.ts';
import { samplingOf } from './sampling.ts';
import type { Trained } from './trained.ts';

/** Models that draw while one of them is trained. */
interface Drawing {
  readonly star: Star;
  readonly text: TextEncoder | undefined;
  readonly vqvae: Vqvae | undefined;
}

/** Previews, and metrics of drawn pictures, where a config wants them: all models are there then. */
export async function watchedDrawing(
  config: TokenRun,
  { star, text, vqvae }: Drawing,
): Promise<Pick<Trained, 'preview' | 'measure'>> {
  if (!text || !vqvae) return {};
  const models = { star, text, vqvae };
  const options = { ...(await samplingOf(config)), ratio: config.data.ratios[0]! };
  return {
    ...(config.preview && { preview: promptPreview(models, config.preview, options) }),
    ...(config.evaluation?.retrieval && { measure: retrievalOf(models, options) }),
  };
}

/** How often a picture drawn by a held-out caption is nearest to its own, by the squared error of pixels. */
const retrievalOf =
  (models: PromptModels, options: PromptOptions): Measure =>
  async (heldOut) => {
    const [samples, gallery]: [NamedPicture[], NamedPicture[]] = [[], []];
    for await (const batch of heldOut()) {
      const { keys, captions } = batch;
      const own = await picturesOf(batch);
      const drawn = singles(await drawPictures(models, captions, options));
      keys.forEach((key, b) => {
        gallery.push({ key, picture: pictureAt(own, b) });
        samples.push({ key, picture: drawn[b]! });
      });
    }
    const { top1, top5 } = await retrieval({ samples, gallery });
    return { top1, top5 };
  };

/** Every picture of some batches. */
const singles = (batches: readonly Pictures[]): Picture[] =>
  batches.flatMap((pictures) => Array.from({ length: pictures.count }, (_, i) => pictureAt(pictures, i)));
