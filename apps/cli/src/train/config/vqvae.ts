import { publishedDiscriminator } from '@star-webgpu/vqvae';
import { z } from 'zod';
import { count, evaluation, histograms, runOf, share, training, whole } from './shared.ts';

const codebookSize = count.min(2).meta({ description: 'Rows of the codebook.', unit: 'codes' });
const patchNumbers = z.array(count).nonempty().meta({
  description: 'Sides of the token maps, coarse to fine; the last is that of the latent map.',
  unit: 'tokens',
});
const beta = z.number().min(0).describe('Weight of the commitment loss beside the codebook loss.');

const vqvae = z
  .strictObject({
    channels: count.meta({ description: 'Width of the first level.', unit: 'channels' }),
    channelMultipliers: z
      .array(count)
      .nonempty()
      .describe('Width of each level as a multiple of `channels`; every level but the last halves the picture.'),
    residualBlocks: count.describe('Residual blocks a level in the encoder; the decoder has one more.'),
    attention: z.boolean().describe('Self-attention in the middle and at the last level.'),
    normGroups: count.describe('Groups of every group normalisation; they divide every width.'),
    codebookSize,
    codeWidth: count.describe('Width of a code, a multiple of 4.'),
    patchNumbers,
    phis: whole.describe('Phi convolutions that the scales share; 0 gives each scale its own.'),
    phiShare: share.describe('Share of the convolution in phi(x) = (1 - share) x + share conv(x).'),
    beta,
    cosineLookup: z.boolean().describe('Looks codes up by the cosine instead of the distance.'),
  })
  .describe('Sizes and options of a VQVAE that begins with random weights; or give `from`.');

const perceptual = z
  .strictObject({
    folder: z.string().describe('Folder of LPIPS weights that `star convert` made.'),
    weight: z.number().positive().describe('Weight of the distance.'),
  })
  .describe('Mean perceptual distance (LPIPS) of the pictures; none without it.');

const adversarial = z
  .strictObject({
    startStep: whole.meta({ description: 'Step from which the discriminator takes part.', unit: 'steps' }),
    weight: z.number().positive().describe('Weight of its loss, on top of the adaptive one.'),
    learningRate: z
      .number()
      .positive()
      .describe('Its highest learning rate, on the schedule of the run; the learning rate of the run if not given.')
      .optional(),
    channels: count
      .multipleOf(4)
      .meta({ description: 'Width of its first layer.', unit: 'channels' })
      .default(publishedDiscriminator.channels),
    layers: count.describe('Layers of it that halve the picture.').default(publishedDiscriminator.layers),
  })
  .describe('A discriminator (PatchGAN) that the decoder learns to deceive; none without it.');

export const vqvaeRun = z.strictObject({
  ...runOf('vqvae'),
  vqvae: vqvae.optional(),
  from: z
    .string()
    .describe('Folder of a VQVAE that this one goes on from, with its sizes, options and weights; or give `vqvae`.')
    .optional(),
  changes: z
    .strictObject({ codebookSize, patchNumbers, beta })
    .partial()
    .describe('What is to be other than in `from`. A larger codebook keeps its codes and splits them.')
    .optional(),
  decoderOnly: z
    .boolean()
    .describe(
      'Trains the decoder alone: pictures keep their tokens, so that a transformer that learnt them still fits. Wants `from`.',
    )
    .default(false),
  training,
  loss: z
    .strictObject({
      absoluteWeight: z.number().min(0).describe('Weight of the mean absolute error of the pixels.'),
      squaredWeight: z.number().min(0).describe('Weight of the mean squared error of the pixels.').default(1),
      quantizeWeight: z.number().min(0).describe('Weight of the codebook and commitment losses.'),
      reviveEvery: whole.meta({
        description: 'Distance of revivals: codes that nothing hit since the last are replaced; 0 for none.',
        unit: 'steps',
      }),
      reviveUntil: whole.meta({ description: 'No revivals from this step on.', unit: 'steps' }),
      perceptual: perceptual.optional(),
      adversarial: adversarial.optional(),
    })
    .describe('What is minimised.'),
  evaluation,
  histograms,
  preview: z
    .strictObject({
      every: count.meta({ description: 'Distance of previews.', unit: 'steps' }),
      pictures: count.meta({
        description: 'How many are shown: the first that are held out, or the first.',
        unit: 'pictures',
      }),
    })
    .describe('Pictures above their reconstructions, in `previews/` and TensorBoard; none without it.')
    .optional(),
});

export type VqvaeRun = z.infer<typeof vqvaeRun>;
