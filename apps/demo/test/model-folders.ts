import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { savePipeline } from '@star-webgpu/sampler';
import type { Page } from 'playwright-core';
import { tinyPipeline } from '../../../packages/sampler/src/testing/tiny-pipeline.ts';

/** Folders of models on this machine's disk. */
export interface Folders {
  pathOf(name: string): string;
  /** What Node draws with the good one of "pizza" with seed 1. */
  readonly drawn: Uint8Array;
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
    spoil: (folder) => truncate(join(folder, 'star/model.safetensors'), 10_000),
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

/** Copies of the smallest model: a good one, and one for each way to spoil it. */
export async function ownFolders(): Promise<Folders> {
  const root = await mkdtemp(join(tmpdir(), 'star-models-'));
  const pathOf = (name: string): string => join(root, name);
  const pipeline = tinyPipeline();
  for (const [path, bytes] of await savePipeline(pipeline)) {
    const file = join(pathOf('my pizzas'), path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
  const drawn = (await pipeline.pictures(['pizza'], { seed: 1 })).data;
  pipeline.dispose();
  for (const { name, spoil } of damaged) {
    await cp(pathOf('my pizzas'), pathOf(name), { recursive: true });
    await spoil(pathOf(name));
  }
  return { pathOf, drawn, remove: () => rm(root, { recursive: true, force: true }) };
}

/** Drops a folder of the disk on the page, as a person's hand would. */
export async function dropFolder(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await session.detach();
}
