import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { dpgPrompts, genevalPrompts, jsonPrompts, linePrompts, type PromptSuite } from '@star-webgpu/metrics';
import type { PictureSource } from './sources.ts';

/** Opens what --prompts names, by its form: a folder of .txt files, .jsonl, .json, or a file with one prompt a line. */
export async function openPrompts(path: string): Promise<PromptSuite> {
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new Error(`evaluate: --prompts must name a file or a folder, got ${path}, which is not there.`);
  if (info.isDirectory()) return await folderPrompts(path);
  const text = await readFile(path, 'utf8');
  if (extname(path) === '.jsonl') return genevalPrompts(text);
  return extname(path) === '.json' ? jsonPrompts(text) : linePrompts(text);
}

async function folderPrompts(folder: string): Promise<PromptSuite> {
  const files = (await readdir(folder)).filter((file) => extname(file) === '.txt').sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return dpgPrompts(new Map(files.map((file, i) => [file, texts[i]!])));
}

/** The captions of a source's pictures, each picture under its own key. */
export function captionPrompts({ label, pictures }: PictureSource): PromptSuite {
  const prompts = pictures.map(({ key, prompt = '' }, i) => {
    const name = `${String(i).padStart(5, '0')}`;
    const files = (count: number): string[] =>
      count === 1 ? [`${name}.png`] : Array.from({ length: count }, (_, k) => `${name}-${k}.png`);
    return { key, prompt, files };
  });
  return {
    kind: 'prompts',
    prompts,
    count: 1,
    protocol: `the first captions of ${pictures.length} pictures of ${label}`,
    extras: new Map(),
  };
}
