import { z } from 'zod';
import {
  $schema,
  captionDropout,
  captions,
  count,
  data,
  drawnEvaluation,
  histograms,
  preview,
  sampling,
  seed,
  training,
  whole,
} from './shared.ts';

export const refinerRun = z.strictObject({
  $schema,
  stage: z.literal('refiner').describe('What is trained: `star train` must name the same.'),
  seed,
  data,
  modelFolder: z
    .string()
    .describe('Folder of the finished model with `star/`, `text/` and `vqvae/`, which stays as it is.'),
  refiner: z
    .strictObject({
      depth: count.describe('Number of its blocks; 3 as published.'),
      sampleFrom: whole.describe('Index of the first scale that it predicts, counted from 0; 9 as published.'),
    })
    .describe('What a model that has no refiner is given; it must be that of a model that has one.'),
  training,
  captionDropout,
  captions,
  sampling: sampling.optional(),
  preview: preview.optional(),
  evaluation: drawnEvaluation,
  histograms,
});

export type RefinerRun = z.infer<typeof refinerRun>;
