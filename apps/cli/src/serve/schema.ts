import { z } from '@hono/zod-openapi';
import type { PromptOptions } from '@star-webgpu/sampler';
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

/** The part of a request that is options of the sampling. */
export const samplingOf = (asked: object): PromptOptions => z.object(sampling.shape).parse(asked) as PromptOptions;

const drawing = ({ prompt, count }: Limits) =>
  sampling.extend({
    prompt: z.string().max(prompt).describe('what to draw; an empty one draws anything'),
    negative: z.string().max(prompt).optional().describe('what pictures should not show'),
    count: z.number().int().min(1).max(count).default(1).describe('pictures, with seeds counting up'),
    seed: wholeNumber.optional().describe('of the first picture; drawn at random if not given'),
    attention: z
      .union([z.boolean(), z.array(z.string().max(prompt)).nonempty().max(64)])
      .optional()
      .describe('tell where words of the prompt act: all that the model sees, or those of a list'),
    stream: z.boolean().default(false).describe('send every scale as a server-sent event'),
  });

/** What POST /v1/images takes. */
export const imagesRequest = (limits: Limits) => drawing(limits).openapi('ImagesRequest');

const file = z.base64();
const pixels = z.number().int().min(0).max(100_000);
const pixel = z.number().int().min(-100_000).max(100_000);

const oneWay = ({ mask, box, outpaint, keepScales }: Readonly<Record<string, unknown>>): boolean => {
  const said = [mask, box, outpaint].filter((way) => way !== undefined).length;
  return said === 1 || (said === 0 && keepScales !== undefined);
};

/** What POST /v1/edits takes. */
export const editsRequest = (limits: Limits) =>
  drawing(limits)
    .extend({
      image: file.describe(`the picture: a PNG or JPEG file in base64, of at most ${limits.pixels} pixels`),
      mask: file.optional().describe('what to draw anew: white in a PNG or JPEG of the same size, in base64'),
      box: z
        .strictObject({ left: pixel, top: pixel, width: pixels, height: pixels })
        .optional()
        .describe('what to draw anew, in pixels of the picture'),
      outpaint: z
        .strictObject({ left: pixels, top: pixels, right: pixels, bottom: pixels })
        .optional()
        .describe('draw around it: pixels more at each side'),
      keepScales: wholeNumber.optional().describe('variations: keep so many scales and draw the others'),
      feather: z.boolean().optional().describe('mix old and new tokens at the border'),
      paste: z.boolean().default(true).describe('put the given pixels back outside of what is drawn'),
    })
    .refine(oneWay, 'one of mask, box and outpaint, or else keepScales, must say what to draw anew')
    .openapi('EditsRequest');

/** How a picture is to be drawn. */
export type Asked = Omit<z.infer<ReturnType<typeof imagesRequest>>, 'stream'>;
/** How a given picture is to be changed. */
export type AskedEdit = Omit<z.infer<ReturnType<typeof editsRequest>>, 'stream'>;

const png = z.string().describe('a PNG file in base64');
const milliseconds = z.number();
const side = z.number().int();

/** Where a word acts, scale by scale. */
const wordAttention = z
  .strictObject({
    word: z.string(),
    scales: z.array(
      z.strictObject({
        scale: side.describe('from 0'),
        width: side,
        height: side,
        shares: z.array(z.number()).readonly().describe('share of the attention at each token, row by row'),
      }),
    ),
  })
  .openapi('WordAttention');

/** Where the words act in each picture. */
export const attention = z.strictObject({ attention: z.array(z.array(wordAttention)) }).openapi('Attention');

const drawnPicture = z.strictObject({ seed: wholeNumber, width: side, height: side, png }).openapi('Picture');

/** What is answered, or sent last of all. */
export const drawnPictures = z
  .strictObject({
    prompt: z.string(),
    pictures: z.array(drawnPicture),
    milliseconds: milliseconds.describe('time of the drawing, without waiting'),
    /** Prompts are cut at the encoder's length. */
    notices: z.array(z.string()).describe('what of the prompt the model does not see'),
    attention: attention.shape.attention
      .optional()
      .describe('for each picture, each word, if asked for; an event of its own in a stream'),
  })
  .openapi('DrawnPictures');

/** One scale of all pictures of a request. */
export const drawnScale = z
  .strictObject({
    scale: z.number().int().describe('from 0'),
    scales: z.number().int(),
    milliseconds,
    map: z.strictObject({ width: side, height: side }).describe('tokens'),
    pictures: z.array(png).describe('at the size of the model'),
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
    codes: z.number().int().describe('codes of a token'),
    textTokens: z.number().int().describe('tokens of a prompt that the model sees'),
    refiner: z.boolean(),
    defaults: z.record(z.string(), z.unknown()).describe('options where a request says nothing'),
    limits: z.strictObject({
      queue: z.number(),
      count: z.number(),
      prompt: z.number(),
      body: z.number(),
      editBody: z.number(),
      pixels: z.number(),
    }),
  })
  .openapi('Model');

/** What the model can draw. */
export const knownPrompts = z
  .strictObject({ prompts: z.array(z.string()).describe('of prompts.txt in the model’s folder; empty without it') })
  .openapi('Prompts');

export const health = z.strictObject({ waiting: z.number().int(), drawing: z.boolean() }).openapi('Health');

/** Every failure. */
export const failure = z.strictObject({ error: z.string(), faults: z.array(z.string()).optional() }).openapi('Failure');

export type ServedModel = z.infer<typeof servedModel>;
export type DrawnPictures = z.infer<typeof drawnPictures>;
export type DrawnScale = z.infer<typeof drawnScale>;
export type WordAttention = z.infer<typeof wordAttention>;
