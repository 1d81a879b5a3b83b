import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entriesOf, type Manifest } from '../../../tools/check-dist.ts';
import { packagesByLayer } from '../../../tools/check-layers.ts';

/** The repository, which all paths of the reference begin at. */
export const root: string = fileURLToPath(new URL('../../..', import.meta.url));

/** What a user may import, and where the reference tells of it. */
export interface ReferenceEntry {
  /** As in an import, such as `@star-webgpu/vqvae/scales`. */
  readonly entry: string;
  /** Source file behind it. */
  readonly source: string;
  /** What the package is for. */
  readonly description: string;
  /** Page without its ending, such as `vqvae/scales`. */
  readonly page: string;
}

/** Every entry of every package, packages of lower layers first, and each before its sub-paths. */
export function referenceEntries(): ReferenceEntry[] {
  return packagesByLayer.flatMap((name) => {
    const folder = join(root, 'packages', name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest & {
      readonly description: string;
    };
    return entriesOf(manifest).map(({ entry, source }) => ({
      entry,
      source: join(folder, source),
      description: manifest.description,
      page: entry.replace('@star-webgpu/', ''),
    }));
  });
}
