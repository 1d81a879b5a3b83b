import { adapterTargets } from '@star-webgpu/star-transformer';
import { z } from 'zod';
import {
  $schema,
  captionDropout,
  captions,
  count,
  data,
  drawnEvaluation,
  histograms,
  labelSmoothing,
  preview,
  recompute,
  sampling,
  seed,
  training,
} from './shared.ts';

export const finetuneRun = z.strictObject({
  $schema,
  stage: z.literal('finetune').describe('What is trained: `star train` must name the same.'),
  seed,
  data,
  modelFolder: z
    .string()
    .describe('Folder of the finished model with `star/`, `text/` and `vqvae/`, which stays as it is.'),
  lora: z
    .strictObject({
      rank: count.describe('Rank of what is added to a weight.'),
      alpha: z.number().positive().describe('What is added is multiplied by alpha / rank.'),
      targets: z
        .array(z.enum(adapterTargets))
        .nonempty()
        .describe('The layers of every block that have an adapter; all that there can be without it.')
        .default([...adapterTargets]),
    })
    .describe('Low-rank adapters learn alone; all weights of the transformer without it.')
    .optional(),
  recompute,
  training,
  captionDropout,
  captions,
  labelSmoothing,
  sampling: sampling.describe('Instead of what the folder of the model says.').optional(),
  preview: preview.optional(),
  evaluation: drawnEvaluation,
  histograms,
});

export type FinetuneRun = z.infer<typeof finetuneRun>;
