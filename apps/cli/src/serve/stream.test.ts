import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ReadableStream } from 'node:stream/web';
import { OpenAPIHono } from '@hono/zod-openapi';
import { expect, it } from 'vitest';
import type { App } from './app.ts';
import { listen } from './server.ts';
import { answerEvents, type Event } from './stream.ts';

const events = 64;

/** Serves more events than sockets hold, all there at once. */
async function serveMany(
  stall: number,
): Promise<{ ask: () => Socket; gone: Promise<void>; close: () => Promise<void> }> {
  const app: App = new OpenAPIHono();
  let tellGone: () => void;
  const gone = new Promise<void>((resolve) => (tellGone = resolve));
  const data = 'x'.repeat(2 ** 20);
  app.get('/', (context) => {
    const stream = new ReadableStream<Event>(
      {
        start: (controller) => {
          for (let i = 0; i < events; i++) controller.enqueue({ event: 'scale', data });
          controller.close();
        },
      },
      { highWaterMark: Infinity },
    );
    return answerEvents(context, stream, { stall, onGone: tellGone });
  });
  const { address, close } = await listen(app, { host: '127.0.0.1', port: 0 });
  const ask = (): Socket => {
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n');
    return socket;
  };
  return { ask, gone, close };
}

it('gives every event to a reader that is slow', async () => {
  const { ask, close } = await serveMany(5000);
  const socket = ask();
  let bytes = 0;
  socket.on('data', ({ length }: Buffer) => {
    bytes += length;
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  });
  await once(socket, 'end');
  expect(bytes).toBeGreaterThan(events * 2 ** 20);
  await close();
}, 60_000);

it('lets go of a reader that reads nothing', async () => {
  const { ask, gone, close } = await serveMany(200);
  const socket = ask().pause();
  socket.on('error', () => undefined);
  await gone;
  socket.resume();
  await once(socket, 'close');
  expect(socket.bytesRead).toBeLessThan(events * 2 ** 20);
  await close();
}, 60_000);
