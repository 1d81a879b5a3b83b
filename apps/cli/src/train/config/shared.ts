import { ratios } from '@star-webgpu/vqvae';
import { z } from 'zod';

// Every key has a description, and a unit where it has one: configs/schema.json and docs/guide/config.md are made of them.

export const count = z.number().int().positive();
export const whole = z.number().int().min(0);
export const share = z.number().min(0).max(1);

/** For editors, which check and complete a file that names its schema. */
const $schema = z.string().describe('Path of `configs/schema.json`, for editors.').optional();

const seed = whole.describe('Decides initial weights, order of pictures, drawn captions and dropped branches.');

const data = z
  .strictObject({
    packs: z.array(z.string()).nonempty().describe('Packs that `star pack` made.'),
    weights: z
      .array(z.number().positive())
      .describe(
        'How often each pack is seen, in proportion, one number a pack; every picture once an epoch without it.',
      )
      .optional(),
    keysFile: z.string().describe('File with one key a line, of the pictures to use; all without it.').optional(),
    size: count.meta({
      description: 'Side of square pictures: the last patch number times the downsampling of the VQVAE.',
      unit: 'pixels',
    }),
    ratios: z
      .array(z.enum(ratios))
      .nonempty()
      .describe('Ratios of width to height: each picture is resized to the nearest, and a batch has one.')
      .default(['1:1']),
    tokens: z
      .string()
      .describe('File that `star tokenize` made of these pictures and captions, instead of encoding them anew.')
      .optional(),
  })
  .describe('The pictures with their captions.');

export const training = z
  .strictObject({
    batch: count.meta({ description: 'Pictures that go through the model at once.', unit: 'pictures' }),
    accumulate: count.meta({ description: 'Batches whose mean gradient makes one step.', unit: 'batches' }).default(1),
    steps: count.meta({ description: 'Length of the run; or give `epochs`.', unit: 'steps' }).optional(),
    epochs: z
      .number()
      .positive()
      .meta({
        description: 'Length of the run by visits of each picture, rounded up to a step; or give `steps`.',
        unit: 'epochs',
      })
      .optional(),
    learningRate: z.number().positive().describe('The highest learning rate, at the end of the warm-up.'),
    warmupSteps: whole
      .meta({
        description: 'Linear warm-up from 0.5% of the learning rate; or give `warmupEpochs`.',
        unit: 'steps',
      })
      .optional(),
    warmupEpochs: z
      .number()
      .min(0)
      .meta({ description: 'The same by visits of each picture; or give `warmupSteps`.', unit: 'epochs' })
      .optional(),
    schedule: z
      .string()
      .regex(/^(cos|exp|lin(00|0(\.\d+)?)?)$/, 'must be cos, lin, lin0, lin00, exp or lin followed by a number in 0..1')
      .describe(
        'How the learning rate falls behind the warm-up: `cos`, a cosine; `lin00`, a line; `lin` and `lin0`, flat for 15% or 5% and then a line; `lin0.3`, two lines that meet behind 30%; `exp`, flat for 15% and then exponential.',
      ),
    finalRate: share.describe('Share of the learning rate that is left at the last step.'),
    weightDecay: z.number().min(0).describe('Weight decay of AdamW; biases and tensors of one axis have none.'),
    clipNorm: z.number().positive().describe('Largest norm of all gradients together.'),
    precision: z
      .enum(['f32', 'f16'])
      .describe('Type of the operands of products; with `f16`, weights and sums stay f32 and gradients have a scale.')
      .default('f32'),
    ema: z
      .strictObject({
        decay: z
          .number()
          .min(0)
          .lt(1)
          .describe(
            'What is left of it after a step; less in the first ones: min(decay, (1 + t) / (10 + t)) at step t.',
          ),
      })
      .describe('A moving average of the weights, of which previews and the finished model are made; none without it.')
      .optional(),
    distributed: z
      .strictObject({
        wire: z
          .enum(['f32', 'f16'])
          .describe('How gradients travel; `f16` halves the traffic, and gives gradients a scale.')
          .default('f32'),
        bucketBytes: count.meta({ description: 'Gradients that travel together.', unit: 'bytes' }).default(8 * 2 ** 20),
      })
      .describe('How several processes add up their gradients; one process has nothing to add up.')
      .optional(),
    saveEvery: count.meta({ description: 'Distance of checkpoints.', unit: 'steps' }),
    keepCheckpoints: count.meta({ description: 'Newest checkpoints that are kept.', unit: 'checkpoints' }),
    milestoneEvery: count
      .meta({ description: 'Distance of checkpoints that are kept for ever; none without it.', unit: 'steps' })
      .optional(),
    best: z
      .strictObject({
        metric: z
          .string()
          .describe('`loss`, or a number of the log: its mean over the steps since the checkpoint before counts.'),
        better: z.enum(['lower', 'higher']).describe('Which is better.').default('lower'),
      })
      .describe('Keeps the best checkpoint as well, as `checkpoints/best`.')
      .optional(),
    spikeGuard: z
      .strictObject({
        factor: z
          .number()
          .positive()
          .describe(
            'A loss this many deviations above the running median is a spike, and so is one that is not finite.',
          )
          .default(8),
        patience: count.meta({ description: 'Spikes in a row that make the run go back.', unit: 'steps' }).default(20),
        window: count.meta({ description: 'Losses that median and deviation are of.', unit: 'steps' }).default(200),
        rollbacks: whole
          .meta({ description: 'How often the run may go back before it ends.', unit: 'times' })
          .default(3),
      })
      .describe(
        'Goes back to the last good checkpoint, past the batches since, when the loss leaves its course; never without it.',
      )
      .optional(),
  })
  .describe('The optimiser, the length of the run, and its checkpoints.');

const captionDropout = share.describe('Share of captions that the empty one replaces; guidance wants about 0.1.');

const captions = z
  .enum(['random', 'first'])
  .describe('`random` draws one of a picture’s captions at each visit, `first` takes the main one.');

export const sampling = z
  .strictObject({
    guidance: z.number().min(0).describe('Strength of guidance.'),
    temperature: z.number().positive().describe('Tamer below 1, wilder above.'),
    topK: whole.meta({ description: 'Tokens kept for each draw, 0 for all.', unit: 'tokens' }),
    topP: share.describe('Share of the probability kept for each draw, 0 for all.'),
    smooth: z.boolean().describe('Mixes codes instead of drawing one.'),
    refine: z
      .union([
        z.boolean(),
        z
          .strictObject({
            version: z.enum(['1024', 'new']).describe('Which head draws the large scales.'),
            steps: count.max(64).meta({ description: 'Steps of each refined scale.', unit: 'steps' }),
          })
          .partial(),
      ])
      .describe('Whether a refiner draws the large scales, and how.'),
  })
  .partial()
  .describe(
    'What the finished model is best drawn with; its folder keeps it as `sampling.json`. The refiner’s model keeps its own without it.',
  );

const preview = z
  .strictObject({
    every: count.meta({ description: 'Distance of previews.', unit: 'steps' }),
    prompts: z.array(z.string()).nonempty().describe('What is drawn, always with the same seed.'),
  })
  .describe('Pictures of fixed prompts by the weights as they are; none without it.');

export const labelSmoothing = share.describe('Share of each target that is spread over the codebook.');

export const recompute = z
  .boolean()
  .describe(
    'Gradient checkpointing: blocks are computed again in the backward pass instead of being kept. The same numbers with less memory, for a third more work.',
  )
  .default(false);

const heldOut = {
  every: count.meta({ description: 'Distance of evaluations; the last step is evaluated too.', unit: 'steps' }),
  packs: z
    .array(z.string())
    .nonempty()
    .describe('Packs of held-out pictures; those of `data` without it, which need `keysFile` then.')
    .optional(),
  keysFile: z
    .string()
    .describe('File with one key a line, of the held-out pictures: training leaves them out of the packs of `data`.')
    .optional(),
  pictures: count
    .meta({ description: 'The first so many of them are measured; all without it.', unit: 'pictures' })
    .optional(),
};

const retrieval = z
  .boolean()
  .describe(
    'Draws each main caption too: `top1` and `top5` are how often the own picture is the nearest by its pixels, or among five.',
  )
  .default(false);

/** What is measured now and then; `more` are keys of a stage of its own. */
const evaluationWith = <More extends z.ZodRawShape>(more: More): z.ZodOptional<z.ZodObject<typeof heldOut & More>> =>
  z
    .strictObject({ ...heldOut, ...more })
    .describe('Loss and metrics of held-out pictures, in the log and in TensorBoard; none without it.')
    .optional();

export const evaluation = evaluationWith({});
const drawnEvaluation = evaluationWith({ retrieval });

export const histograms = z
  .strictObject({
    every: count.meta({ description: 'Distance of histograms; each reads all weights.', unit: 'steps' }),
  })
  .describe('How the weights of each tensor are spread, in TensorBoard; none without it.')
  .optional();

/** What every config begins with. */
export const runOf = <Stage extends string>(stage: Stage) => ({
  $schema,
  stage: z.literal(stage).describe('What is trained: `star train` must name the same.'),
  seed,
  data,
});

/** Of the stages that learn from captions: how it is trained and which captions are drawn. */
export const learning = { training, captionDropout, captions };

/** Of the stages whose model draws: what it shows while it learns. */
export const shown = { preview: preview.optional(), evaluation: drawnEvaluation, histograms };

export const modelFolder = z
  .string()
  .describe('Folder of the finished model with `star/`, `text/` and `vqvae/`, which stays as it is.');
