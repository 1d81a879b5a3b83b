// Draws the pictures of docs/guide/control-the-sampler.md, docs/guide/edit-a-picture.md and docs/results/model-emoji.md by the commands that
// stand there, with the model in the box. Run it again when the model changes:
// node --conditions=@star-webgpu/source --import tsx build/draw-guide.main.ts
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { type Group, writeSheet, writeWebp } from './guide-sheet.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const docs = join(root, 'docs/public');
const scratch = await mkdtemp(join(tmpdir(), 'star-guide-'));
let commands = 0;

/** Runs a command that draws. */
async function drawn(...args: readonly string[]): Promise<string[]> {
  const out = join(scratch, String(commands++));
  const star = ['tools/bootstrap.mjs', 'star', ...args, '--json', '--out', out];
  const { stdout } = await promisify(execFile)(process.execPath, star, { cwd: root });
  return (JSON.parse(stdout) as { files: string[] }).files;
}

/** Four tomatoes by each of several settings. */
async function tomatoes(name: string, ...settings: readonly (readonly string[])[]): Promise<void> {
  const groups: Group[] = [];
  for (const setting of settings)
    groups.push({ files: await drawn('sample', 'tomato', '--count', '4', ...setting), columns: 2 });
  await writeSheet(join(docs, 'sampler', name), groups);
}

const [tomato, scales] = await drawn('sample', 'tomato', '--strip');
await writeWebp(join(docs, 'sampler/scales.webp'), sharp(scales));
await tomatoes('cfg.webp', ...['0', '1', '2', '4', '8'].map((strength) => ['--cfg', strength]));
await tomatoes(
  'temperature.webp',
  ...['0.5', '1', '1.5', '2.5'].map((temperature) => ['--temperature', temperature, '--top-p', '0']),
);
await tomatoes('others.webp', ['--smooth'], ['--entropy-temperature'], ['--negative', 'red apple', '--cfg', '2']);
await writeSheet(join(docs, 'sampler/between.webp'), [
  { files: await drawn('sample', 'tomato', '--between', 'lemon', '--steps', '6'), columns: 6 },
]);
for (const [prompt, word] of [
  ['smiling face with sunglasses', 'sunglasses'],
  ['police car', 'car'],
] as const) {
  const [, maps] = await drawn('sample', prompt, '--attention', word);
  await writeWebp(join(docs, `sampler/attention-${word}.webp`), sharp(maps));
}
for (const [name, ...args] of [
  ['retouch', 'tomato', '--box', '20,0,24,24'],
  ['region', 'lemon', '--box', '0,0,64,30'],
  ['outpaint', 'tomato', '--outpaint', '16,16,16,16'],
  ['variation', 'tomato', '--variation', '4', '--temperature', '1'],
] as const) {
  const results = await drawn('edit', ...args, '--image', tomato!, '--count', '4');
  await writeSheet(join(docs, `edit/${name}.webp`), [{ files: [tomato!, ...results], columns: 5 }]);
}
for (const [name, list, columns] of [
  ['emoji-sheet', 'prompts', 8],
  ['emoji-combinations', 'combinations', 6],
] as const) {
  const files = await drawn('sample', '--prompts', `recipes/all-emoji/${list}.txt`, '--seed', '1');
  await writeSheet(join(docs, `${name}.webp`), [{ files, columns }]);
}
await rm(scratch, { recursive: true });
