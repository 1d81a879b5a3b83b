import { ratios } from '@star-webgpu/vqvae';
import { z } from 'zod';

export const count = z.number().int().positive();
export const share = z.number().min(0).max(1);

export const data = z.strictObject({
  packs: z.array(z.string()).nonempty(),
  /** How often each pack is seen, in proportion, one number a pack; every picture once an epoch without it. */
  weights: z.array(z.number().positive()).optional(),
  /** A file with one key a line; all pictures without it. */
  keysFile: z.string().optional(),
  /** Side of square pictures in pixels. */
  size: count,
  /** Ratios of width to height: each picture is resized to the nearest, and a batch has one. */
  ratios: z.array(z.enum(ratios)).nonempty().default(['1:1']),
  /** What `star tokenize` made of these pictures and their captions: neither encoder is needed then. Stages star and refiner only. */
  tokens: z.string().optional(),
});

export const training = z.strictObject({
  batch: count,
  /** Batches that make one step. */
  accumulate: count.default(1),
  steps: count,
  learningRate: z.number().positive(),
  warmupSteps: z.number().int().min(0),
  schedule: z
    .string()
    .regex(/^(cos|exp|lin(00|0(\.\d+)?)?)$/, 'must be cos, lin, lin0, lin00, exp or lin followed by a number in 0..1'),
  /** Share of the learning rate at the last step. */
  finalRate: share,
  weightDecay: z.number().min(0),
  clipNorm: z.number().positive(),
  /** Type of the operands of products; f16 wants an adapter with half floats. */
  precision: z.enum(['f32', 'f16']).default('f32'),
  saveEvery: count,
  keepCheckpoints: count,
});

/** For editors, which check and complete a file that names its schema. */
export const $schema = z.string().optional();

/** What a finished model is best drawn with; its folder keeps it. */
export const sampling = z
  .strictObject({
    guidance: z.number().min(0),
    topK: z.number().int().min(0),
    topP: share,
    smooth: z.boolean(),
    refine: z.union([
      z.boolean(),
      z.strictObject({ version: z.enum(['1024', 'new']), steps: count.max(64) }).partial(),
    ]),
  })
  .partial();

/** Pictures drawn with the weights of every so many steps; never without it. */
export const preview = z.strictObject({ every: count, prompts: z.array(z.string()).nonempty() });
