import { z } from 'zod';
import { count, labelSmoothing, learning, recompute, runOf, sampling, share, shown, whole } from './shared.ts';

export const starRun = z.strictObject({
  ...runOf('star'),
  vqvaeFolder: z.string().describe('Folder of the trained VQVAE.'),
  text: z
    .strictObject({
      layers: count.describe('Number of blocks.'),
      width: count.describe('Width of the states.'),
      heads: count.describe('Attention heads; the width of each is a multiple of 4.'),
      mlpWidth: count.describe('Hidden width of the feed-forward part.'),
      positions: count.meta({ description: 'Tokens of the longest caption.', unit: 'tokens' }),
      vocabSize: count.min(514).meta({
        description: 'Largest vocabulary that is made of the captions.',
        unit: 'tokens',
      }),
    })
    .describe(
      'Sizes of a text encoder that learns along, that of the model in `from` where there is one; or give `textFolder`.',
    )
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
  from: z
    .string()
    .describe(
      'Folder of a model whose transformer this one goes on from, at another size of pictures or with other captions: all weights are kept, and embeddings of new scales are drawn. With `text`, its text encoder goes on too and keeps its vocabulary. It must have the same sizes.',
    )
    .optional(),
  textOnly: z
    .boolean()
    .describe(
      'The text encoder learns alone: other words for what the model in `from` draws, which it goes on drawing as before. Wants `from` and `text`.',
    )
    .optional(),
  progressive: z
    .strictObject({
      from: whole.describe('Index of the finest scale at the beginning, counted from 0; 4 in the published code.'),
      begin: share
        .describe('Share of the run up to which none is added; the warm-up of the learning rate if not given.')
        .optional(),
      until: share.describe('Share of the run from which all scales are trained.'),
      warmupSteps: whole.meta({
        description: 'The loss of an added scale rises to its full weight over these.',
        unit: 'steps',
      }),
    })
    .describe('Begins with the coarse scales and adds the others one by one; all from the first step without it.')
    .optional(),
  keepTokens: count
    .meta({
      description:
        'Tokens of a picture that are trained: others are left out of the last scale, anew for each batch; all without it. 8800 of 9451 as published at 1024 px.',
      unit: 'tokens',
    })
    .optional(),
  scaleWeights: z
    .array(z.number().positive())
    .min(1)
    .describe(
      'What a token of each scale counts in the loss, in proportion to the others; all alike without it, as published. With many scales the first token, which the words alone decide, is then one of hundreds.',
    )
    .optional(),
  recompute,
  ...learning,
  labelSmoothing,
  sampling: sampling.optional(),
  ...shown,
});

export type StarRun = z.infer<typeof starRun>;
