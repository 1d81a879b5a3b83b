import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import type { Page } from 'playwright-core';

/** Folders of models on this machine's disk. */
export interface Folders {
  pathOf(name: string): string;
  remove(): Promise<void>;
}

/** A way to spoil a copy of the model, and what the page says of it. */
interface Damage {
  readonly name: string;
  readonly what: string;
  readonly message: RegExp;
  spoil(folder: string): Promise<void>;
}

export const damaged: readonly Damage[] = [
  {
    name: 'cut off',
    what: 'weights are cut off',
    message: /could not be loaded[\s\S]*star\/model\.safetensors: .*truncated/,
    spoil: (folder) => truncate(join(folder, 'star/model.safetensors'), 1_000_000),
  },
  {
    name: 'no tokenizer',
    what: 'a file is missing',
    message: /could not be loaded[\s\S]*text\/.*folder must hold tokenizer\.json/,
    spoil: (folder) => rm(join(folder, 'text/tokenizer.json')),
  },
  {
    name: 'no vqvae',
    what: 'a part is missing',
    message: /could not be loaded[\s\S]*no vqvae must hold the folders star, vqvae and text, got no vqvae/,
    spoil: (folder) => rm(join(folder, 'vqvae'), { recursive: true }),
  },
  {
    name: 'too big',
    what: 'it is too big for the adapter',
    message: /too little memory/,
    async spoil(folder) {
      const file = join(folder, 'star/config.json');
      const config = JSON.parse(await readFile(file, 'utf8')) as object;
      await writeFile(file, JSON.stringify({ ...config, width: 192_000, heads: 4000 }));
    },
  },
];

/** Copies of the model in the box: a good one, and one for each way to spoil it. */
export async function ownFolders(): Promise<Folders> {
  const root = await mkdtemp(join(tmpdir(), 'star-models-'));
  const pathOf = (name: string): string => join(root, name);
  const source = fileURLToPath(modelUrl);
  await cp(source, pathOf('my pizzas'), { recursive: true });
  for (const { name, spoil } of damaged) {
    await cp(source, pathOf(name), { recursive: true });
    await spoil(pathOf(name));
  }
  return { pathOf, remove: () => rm(root, { recursive: true, force: true }) };
}

/** Drops a folder of the disk on the page, as a person's hand would. */
export async function dropFolder(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await session.detach();
}
