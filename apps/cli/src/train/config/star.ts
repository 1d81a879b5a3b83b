import { z } from 'zod';
import { $schema, count, data, preview, sampling, share, training } from './shared.ts';

export const starRun = z.strictObject({
  $schema,
  stage: z.literal('star'),
  seed: z.number().int().min(0),
  data,
  /** Folder of the trained VQVAE. */
  vqvaeFolder: z.string(),
  /** Sizes of a text encoder that learns along; or name a `textFolder`. */
  text: z
    .strictObject({
      layers: count,
      width: count,
      heads: count,
      mlpWidth: count,
      positions: count,
      vocabSize: count.min(258),
    })
    .optional(),
  /** Folder of a text encoder that stays as it is. */
  textFolder: z.string().optional(),
  star: z.strictObject({ depth: count, width: count, heads: count, dropPath: share }),
  training,
  /** Share of captions replaced by the empty one. */
  captionDropout: share,
  /** Which captions are drawn: all of a picture's, or its first. */
  captions: z.enum(['random', 'first']),
  labelSmoothing: share,
  sampling: sampling.optional(),
  preview: preview.optional(),
});

export type StarRun = z.infer<typeof starRun>;
