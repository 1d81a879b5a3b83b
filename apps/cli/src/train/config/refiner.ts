import { z } from 'zod';
import { $schema, count, data, preview, sampling, share, training } from './shared.ts';

export const refinerRun = z.strictObject({
  $schema,
  stage: z.literal('refiner'),
  seed: z.number().int().min(0),
  data,
  /** Folder of the trained model: star, text and vqvae. All of it stays as it is. */
  modelFolder: z.string(),
  /** What a model that has no refiner is given; one that has it goes on with its own. */
  refiner: z.strictObject({ depth: count, sampleFrom: z.number().int().min(0) }),
  training,
  captionDropout: share,
  captions: z.enum(['random', 'first']),
  /** Instead of what the model's folder says. */
  sampling: sampling.optional(),
  preview: preview.optional(),
});

export type RefinerRun = z.infer<typeof refinerRun>;
