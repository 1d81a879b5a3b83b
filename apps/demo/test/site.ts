import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
};

/** A site on this machine. */
export interface Site {
  readonly address: string;
  close(): Promise<void>;
}

/** Builds the site as it is published. */
export async function buildSite(): Promise<void> {
  const command = join(root, 'node_modules/.bin/vitepress');
  await promisify(execFile)(command, ['build', '.'], { cwd: root, env: { ...process.env, NODE_ENV: 'production' } });
}

/** How a site is served. */
export interface Serving {
  /** Where its files are; those of the built site if not given. */
  readonly files?: string;
  /** Its folder on the server, with a slash at both ends. */
  readonly folder?: string;
  /** Files whose content is cut in half. */
  readonly broken?: RegExp;
}

/** Serves the built site as any plain web server would: files by their names, index.html for folders, nothing else. */
export async function serveSite({
  files = join(root, '.vitepress/dist'),
  folder = '/',
  broken,
}: Serving = {}): Promise<Site> {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://site').pathname));
    const inside = path.startsWith(folder) ? path.slice(folder.length) : 'no such file';
    const file = join(files, inside === '' || inside.endsWith('/') ? `${inside}index.html` : inside);
    stat(file).then(
      ({ size }) => {
        const length = broken?.test(path) ? Math.floor(size / 2) : size;
        response.writeHead(200, {
          'content-type': types[extname(file)] ?? 'application/octet-stream',
          'content-length': length,
        });
        createReadStream(file, { end: length - 1 }).pipe(response);
      },
      () => response.writeHead(404).end('not found'),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { address: `http://127.0.0.1:${port}${folder}`, close };
}
