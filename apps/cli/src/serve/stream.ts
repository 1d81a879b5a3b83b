import type { ReadableStream } from 'node:stream/web';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { HttpBindings } from '@hono/node-server';

/** One server-sent event. */
export interface Event {
  readonly event: 'waiting' | 'scale' | 'attention' | 'finished' | 'failed';
  readonly data: unknown;
}

/** Milliseconds between signs of life, which keep proxies from hanging up. */
const pulse = 15_000;

interface StreamOptions {
  /** Milliseconds until a client that reads nothing is let go of. */
  readonly stall: number;
  /** Called when the client has gone, or reads nothing. */
  readonly onGone: () => void;
}

/**
 * Answers with events as they come. They wait in memory for a slow client, so that the device does not; how many there are is bounded by
 * the scales of a drawing.
 */
export function answerEvents(
  context: Context<{ Bindings: HttpBindings }>,
  events: ReadableStream<Event>,
  { stall, onGone }: StreamOptions,
): Response {
  return streamSSE(context, async (stream) => {
    stream.onAbort(onGone);
    const sent = async (write: () => Promise<unknown>): Promise<void> => {
      const stalled = setTimeout(() => context.env.outgoing.destroy(), stall);
      await write().finally(() => clearTimeout(stalled));
    };
    const alive = setInterval(() => void sent(() => stream.write(':\n\n')), pulse);
    try {
      for await (const { event, data } of events)
        await sent(() => stream.writeSSE({ event, data: JSON.stringify(data) }));
    } finally {
      clearInterval(alive);
    }
  });
}
