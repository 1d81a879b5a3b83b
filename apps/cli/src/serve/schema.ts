import { z } from '@hono/zod-openapi';
import { ratios } from '@star-webgpu/vqvae';
import type { Limits } from './limits.ts';

const perScale = (one: z.ZodNumber): z.ZodUnion<[z.ZodNumber, z.ZodArray<z.ZodNumber>]> =>
  z.union([one, z.array(one).nonempty().max(64)]);
const wholeNumber = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Options of a drawing; what is left out is as the model's folder says, else as published. */
const sampling = z
  .strictObject({
    guidance: perScale(z.number().min(0).max(100)).describe('strength of guidance, or one a scale'),
    guidanceSchedule: z.enum(['linear', 'constant']).describe('how guidance grows over the scales'),
    guidanceUntil: wholeNumber.describe('no guidance from this scale on, counting from 0'),
    temperature: perScale(z.number().min(0.001).max(1000)).describe('tamer below 1, wilder above; or one a scale'),
    entropyTemperature: z.boolean().describe('a temperature by how sure each token is'),
    topK: perScale(wholeNumber).describe('tokens kept for each draw, 0 for all; or one a scale'),
    topP: perScale(z.number().min(0).max(1)).describe('share of the probability kept, 0 for all; or one a scale'),
    smooth: z.boolean().describe('mix codes instead of drawing one'),
    refine: z
      .union([
        z.boolean(),
        z.strictObject({ version: z.enum(['1024', 'new']), steps: z.number().int().min(1).max(64) }).partial(),
      ])
      .describe('large scales in steps, of a model with a refiner'),
    ratio: z.enum(ratios).describe('width to height'),
  })
  .partial();

/** What POST /v1/images takes. */
export const imagesRequest = ({ prompt, count }: Limits) =>
  sampling
    .extend({
      prompt: z.string().max(prompt).describe('what to draw; an empty one draws anything'),
      negative: z.string().max(prompt).optional().describe('what pictures should not show'),
      count: z.number().int().min(1).max(count).default(1).describe('pictures, with seeds counting up'),
      seed: wholeNumber.optional().describe('of the first picture; drawn at random if not given'),
      stream: z.boolean().default(false).describe('send every scale as a server-sent event'),
    })
    .openapi('ImagesRequest');

/** What is to be drawn. */
export type Asked = Omit<z.infer<ReturnType<typeof imagesRequest>>, 'stream'>;

const png = z.string().describe('a PNG file in base64');
const milliseconds = z.number();

const drawnPicture = z
  .strictObject({ seed: wholeNumber, width: z.number().int(), height: z.number().int(), png })
  .openapi('Picture');

/** What is answered, or sent last of all. */
export const drawnPictures = z
  .strictObject({
    prompt: z.string(),
    pictures: z.array(drawnPicture),
    milliseconds: milliseconds.describe('time of the drawing, without waiting'),
    /** Prompts are cut at the encoder's length. */
    notices: z.array(z.string()).describe('what of the prompt the model does not see'),
  })
  .openapi('DrawnPictures');

/** One scale of all pictures of a request. */
export const drawnScale = z
  .strictObject({
    scale: z.number().int().describe('from 0'),
    scales: z.number().int(),
    milliseconds,
    map: z.strictObject({ width: z.number().int(), height: z.number().int() }).describe('tokens'),
    pictures: z.array(png),
  })
  .openapi('DrawnScale');

/** Where a request stands while others are drawn. */
export const queuePlace = z
  .strictObject({ waiting: z.number().int().describe('requests before this one') })
  .openapi('QueuePlace');

/** What is served. */
export const servedModel = z
  .strictObject({
    name: z.string(),
    adapter: z.string(),
    scales: z.array(z.number().int()).describe('tokens along a side of each scale'),
    textTokens: z.number().int().describe('tokens of a prompt that the model sees'),
    refiner: z.boolean(),
    defaults: z.record(z.string(), z.unknown()).describe('options where a request says nothing'),
    limits: z.strictObject({ queue: z.number(), count: z.number(), prompt: z.number(), body: z.number() }),
  })
  .openapi('Model');

export const health = z.strictObject({ waiting: z.number().int(), drawing: z.boolean() }).openapi('Health');

/** Every failure. */
export const failure = z.strictObject({ error: z.string(), faults: z.array(z.string()).optional() }).openapi('Failure');

export type ServedModel = z.infer<typeof servedModel>;
export type DrawnPictures = z.infer<typeof drawnPictures>;
export type DrawnScale = z.infer<typeof drawnScale>;
