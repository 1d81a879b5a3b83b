import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getMimeType } from 'hono/utils/mime';

/** A file of the site, in memory. */
interface SiteFile {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The site by the paths that browsers ask for: a request only ever looks into this list, never at the disk. */
export type SiteFiles = ReadonlyMap<string, SiteFile>;

/** Where the built site may be: beside the built command, or in the repository. */
const places = ['../site/', '../../../demo/.vitepress/dist/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** Tells the page that it is served by a server that draws. */
const mark = '<meta name="star-server" content="v1">';

/** Reads the built site; empty where it was not built. */
export async function readSite(folders: readonly string[] = places): Promise<SiteFiles> {
  for (const folder of folders) {
    const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    if (files.length) return new Map((await Promise.all(files.map((file) => siteFile(folder, file)))).flat());
  }
  return new Map();
}

async function siteFile(folder: string, file: string): Promise<(readonly [string, SiteFile])[]> {
  const path = `/${relative(folder, file).split(sep).join('/')}`;
  const bytes = new Uint8Array(await readFile(file));
  const type = getMimeType(path) ?? 'application/octet-stream';
  if (!path.endsWith('.html')) return [[path, { type, body: bytes }]];
  const marked = new TextDecoder().decode(bytes).replace('<head>', `<head>${mark}`);
  const page = { type, body: new TextEncoder().encode(marked) };
  return [path, path.slice(0, -'.html'.length), path.slice(0, -'index.html'.length)]
    .filter((name, i) => i < 2 || path.endsWith('/index.html'))
    .map((name) => [name, page]);
}
