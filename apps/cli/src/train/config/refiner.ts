import { z } from 'zod';
import { count, learning, modelFolder, runOf, sampling, shown, whole } from './shared.ts';

export const refinerRun = z.strictObject({
  ...runOf('refiner'),
  modelFolder,
  refiner: z
    .strictObject({
      depth: count.describe('Number of its blocks; 3 as published.'),
      sampleFrom: whole.describe('Index of the first scale that it predicts, counted from 0; 9 as published.'),
    })
    .describe('What a model that has no refiner is given; it must be that of a model that has one.'),
  ...learning,
  sampling: sampling.optional(),
  ...shown,
});

export type RefinerRun = z.infer<typeof refinerRun>;
