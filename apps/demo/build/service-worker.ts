import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const source = fileURLToPath(new URL('../src/offline/service-worker.ts', import.meta.url));

/** The model, which the live page fetches and keeps itself; the reference, as large as all other pages; VitePress's own map of what was published last. */
const notKept = /\.safetensors$|^(assets\/)?reference[/_]|^hashmap\.json$/;

/** Adds a service worker that keeps all else of the site. */
export async function addServiceWorker(site: string): Promise<void> {
  const files = await keptFiles(site);
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(await readFile(join(site, file)));
  await build({
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    define: { __FILES__: JSON.stringify(files), __VERSION__: JSON.stringify(hash.digest('hex').slice(0, 12)) },
    build: {
      outDir: site,
      emptyOutDir: false,
      target: 'es2022',
      rollupOptions: { input: source, output: { entryFileNames: 'service-worker.js' } },
    },
  });
}

async function keptFiles(site: string): Promise<string[]> {
  const entries = await readdir(site, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(site.length + 1))
    .filter((path) => !notKept.test(path))
    .toSorted();
}
