import { serve, type ServerType } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import type { App } from './app.ts';

/** A server that listens. */
export interface Listening {
  readonly address: string;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** Milliseconds for a client to send its headers, and its whole request. */
const [headersTimeout, requestTimeout] = [10_000, 30_000];
const mostConnections = 256;

/** Listens on an address; port 0 takes a free one. @throws Error saying what to do where the port is taken */
export async function listen(app: App, { host, port }: { host: string; port: number }): Promise<Listening> {
  const server = await started(app, { host, port });
  server.maxConnections = mostConnections;
  const { address, family, port: taken } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      if ('closeAllConnections' in server) server.closeAllConnections();
    });
  return { address: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`, close };
}

function started(app: App, { host, port }: { host: string; port: number }): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = serve(
      {
        fetch: app.fetch,
        hostname: host,
        port,
        serverOptions: { headersTimeout, requestTimeout, connectionsCheckingInterval: 1000 },
      },
      () => resolve(server),
    );
    server.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      reject(
        new Error(
          code === 'EADDRINUSE'
            ? `serve: port ${port} must be free, got one in use. Choose another with --port.`
            : `serve: ${host} port ${port} cannot be listened on: ${message}. Choose another with --host or --port.`,
        ),
      ),
    );
  });
}
