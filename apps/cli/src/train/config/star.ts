import { z } from 'zod';
import { $schema, captionDropout, captions, count, data, preview, sampling, seed, share, training } from './shared.ts';

export const starRun = z.strictObject({
  $schema,
  stage: z.literal('star').describe('What is trained: `star train` must name the same.'),
  seed,
  data,
  vqvaeFolder: z.string().describe('Folder of the trained VQVAE.'),
  text: z
    .strictObject({
      layers: count.describe('Number of blocks.'),
      width: count.describe('Width of the states.'),
      heads: count.describe('Attention heads; the width of each is a multiple of 4.'),
      mlpWidth: count.describe('Hidden width of the feed-forward part.'),
      positions: count.meta({ description: 'Tokens of the longest caption.', unit: 'tokens' }),
      vocabSize: count.min(258).meta({
        description: 'Largest vocabulary that is made of the captions.',
        unit: 'tokens',
      }),
    })
    .describe('Sizes of a text encoder that learns along; or give `textFolder`.')
    .optional(),
  textFolder: z.string().describe('Folder of a text encoder that stays as it is; or give `text`.').optional(),
  star: z
    .strictObject({
      depth: count.describe('Number of blocks.'),
      width: count.describe('Width of the residual stream.'),
      heads: count.describe('Attention heads; the width of each is a multiple of 4.'),
      dropPath: share.describe(
        'Share of branches that are dropped at the last block; earlier ones drop linearly less.',
      ),
    })
    .describe('Sizes of the transformer.'),
  training,
  captionDropout,
  captions,
  labelSmoothing: share.describe('Share of each target that is spread over the codebook.'),
  sampling: sampling.optional(),
  preview: preview.optional(),
});

export type StarRun = z.infer<typeof starRun>;
