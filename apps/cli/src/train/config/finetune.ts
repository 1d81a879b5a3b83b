import { adapterTargets } from '@star-webgpu/star-transformer';
import { z } from 'zod';
import { count, labelSmoothing, learning, modelFolder, recompute, runOf, sampling, shown } from './shared.ts';

export const finetuneRun = z.strictObject({
  ...runOf('finetune'),
  modelFolder,
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
  ...learning,
  labelSmoothing,
  sampling: sampling.describe('Instead of what the folder of the model says.').optional(),
  ...shown,
});

export type FinetuneRun = z.infer<typeof finetuneRun>;
