import { z } from 'zod';
import { $schema, count, data, share, training } from './shared.ts';

const vqvae = z.strictObject({
  channels: count,
  channelMultipliers: z.array(count).nonempty(),
  residualBlocks: count,
  attention: z.boolean(),
  normGroups: count,
  codebookSize: count.min(2),
  codeWidth: count,
  patchNumbers: z.array(count).nonempty(),
  phis: z.number().int().min(0),
  phiShare: share,
  beta: z.number().min(0),
  cosineLookup: z.boolean(),
});

export const vqvaeRun = z.strictObject({
  $schema,
  stage: z.literal('vqvae'),
  seed: z.number().int().min(0),
  data,
  vqvae,
  training,
  loss: z.strictObject({
    absoluteWeight: z.number().min(0),
    quantizeWeight: z.number().min(0),
    reviveEvery: z.number().int().min(0),
    reviveUntil: z.number().int().min(0),
  }),
});

export type VqvaeRun = z.infer<typeof vqvaeRun>;
