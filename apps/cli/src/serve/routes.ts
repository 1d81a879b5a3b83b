import { ReadableStream } from 'node:stream/web';
import { createRoute, type z } from '@hono/zod-openapi';
import type { Pipeline } from '@star-webgpu/sampler';
import type { Context } from 'hono';
import type { HttpBindings } from '@hono/node-server';
import type { App } from './app.ts';
import { drawPictures } from './drawing.ts';
import { failureOf } from './failures.ts';
import type { Limits } from './limits.ts';
import { WorkQueue } from './queue.ts';
import {
  type Asked,
  type AskedEdit,
  attention,
  drawnPictures,
  drawnScale,
  editsRequest,
  failure,
  health,
  imagesRequest,
  knownPrompts,
  queuePlace,
  servedModel,
  type ServedModel,
} from './schema.ts';
import { answerEvents, type Event } from './stream.ts';

export interface RouteOptions {
  readonly pipeline: Pipeline;
  readonly model: ServedModel;
  /** What the model can draw, as far as its folder says. */
  readonly prompts: readonly string[];
  readonly limits: Limits;
  /** Ends all drawings. */
  readonly signal: AbortSignal;
}

const eventStream = `With \`stream\`: server-sent events. \`waiting\` (QueuePlace) while others are drawn, \`scale\` (DrawnScale) for each scale,
\`attention\` (Attention) if asked for, then \`finished\` (DrawnPictures) or \`failed\` (Failure).`;

const json = <Schema>(description: string, schema: Schema) => ({
  description,
  content: { 'application/json': { schema } },
});

/** Answers to who may not ask. */
const turnedAway = {
  401: json('the token that the server asks for is missing, or another', failure),
  403: json('a page of another origin, or another name of this machine', failure),
};

/** A route that draws. */
const drawingRoute = <Path extends string, Schema extends z.ZodType>(path: Path, description: string, schema: Schema) =>
  createRoute({
    method: 'post',
    path,
    description: `${description} A client that hangs up ends its drawing.`,
    request: { body: { required: true, content: { 'application/json': { schema } } } },
    responses: {
      200: {
        description: eventStream,
        content: {
          'application/json': { schema: drawnPictures },
          'text/event-stream': { schema: { type: 'string' as const } },
        },
      },
      ...turnedAway,
      400: json('a field is wrong, or the model has no such option', failure),
      413: json('the body is too large', failure),
      415: json('the body is no JSON', failure),
      503: json('too many requests wait', failure),
    },
  });

/** Adds everything under /v1. */
export function addRoutes(app: App, { pipeline, model, prompts, limits, signal }: RouteOptions): void {
  const queue = new WorkQueue(limits.queue);
  for (const [name, schema] of Object.entries({ QueuePlace: queuePlace, DrawnScale: drawnScale, Attention: attention }))
    app.openAPIRegistry.register(name, schema);

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/model',
      responses: { 200: json('what is served', servedModel), ...turnedAway },
    }),
    (context) => context.json(model, 200),
  );
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/prompts',
      responses: { 200: json('what the model can draw, as far as its folder says', knownPrompts), ...turnedAway },
    }),
    (context) => context.json({ prompts: [...prompts] }, 200),
  );
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/health',
      responses: { 200: json('how busy the server is', health), ...turnedAway },
    }),
    (context) => context.json({ waiting: queue.waiting, drawing: queue.busy }, 200),
  );
  // Before a body is read: pictures that nobody has time for should not fill the memory.
  for (const path of ['/v1/images', '/v1/edits'])
    app.use(path, (_, next) => {
      queue.checkRoom();
      return next();
    });
  app.openapi(drawingRoute('/v1/images', 'Draws pictures.', imagesRequest(limits)), (context) =>
    answer(context, context.req.valid('json')),
  );
  app.openapi(
    drawingRoute('/v1/edits', 'Draws a part of a picture anew, around it, or variations of it.', editsRequest(limits)),
    (context) => answer(context, context.req.valid('json')),
  );

  /** Draws when it is a request's turn, and answers with the pictures or with events. */
  async function answer(
    context: Context<{ Bindings: HttpBindings }>,
    { stream, ...asked }: (Asked | AskedEdit) & { readonly stream: boolean },
  ) {
    const gone = new AbortController();
    const ended = AbortSignal.any([signal, context.req.raw.signal, gone.signal]);
    context.env.outgoing.once('close', () => gone.abort());
    if (stream) {
      const onGone = (): void => gone.abort();
      return answerEvents(context, eventsOf(asked, ended), { stall: limits.stall, onGone });
    }
    const drawn = await queue.run(() => drawPictures(pipeline, asked, { limits, signal: ended }), { signal: ended });
    context.env.outgoing.setTimeout(limits.stall, () => context.env.outgoing.destroy());
    return context.json(drawn, 200);
  }

  /** Events of a drawing from the moment it waits; none waits for its reader. */
  function eventsOf(asked: Asked | AskedEdit, ended: AbortSignal): ReadableStream<Event> {
    return new ReadableStream<Event>(
      {
        start: (controller) => {
          const tell = (event: Event['event']) => (data: unknown) => controller.enqueue({ event, data });
          queue
            .run(() => drawPictures(pipeline, asked, { limits, signal: ended, onScale: tell('scale') }), {
              signal: ended,
              onPlace: (waiting) => tell('waiting')({ waiting }),
            })
            .then(
              ({ attention, ...finished }) => {
                if (attention) tell('attention')({ attention });
                tell('finished')(finished);
              },
              (error: unknown) => {
                if (!ended.aborted) tell('failed')(failureOf(error).failure);
              },
            )
            .finally(() => controller.close());
        },
      },
      { highWaterMark: Infinity },
    );
  }
}
