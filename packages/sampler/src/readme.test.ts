import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { savePipeline } from './pipeline.ts';
import { tinyPipeline } from './testing/tiny-pipeline.ts';

beforeAll(testDevice);

/** Writes a model folder `model` inside a new folder, and makes that the working directory while the test runs. */
async function enterModelFolder(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sampler-'));
  const home = process.cwd();
  const pipeline = tinyPipeline();
  for (const [path, bytes] of await savePipeline(pipeline)) {
    await mkdir(dirname(join(folder, 'model', path)), { recursive: true });
    await writeFile(join(folder, 'model', path), bytes);
  }
  pipeline.dispose();
  process.chdir(folder);
  onTestFinished(async () => {
    process.chdir(home);
    await rm(folder, { recursive: true });
  });
}

it('the example of the README draws a picture scale by scale', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const example = readme.match(/```ts\n(.*?)```/s)![1]!;
  await enterModelFolder();
  const body = example.replace(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = await load('$2');");
  const lines: string[] = [];
  const run = new Function('load', 'console', `return (async () => { ${body} })();`) as (
    load: (name: string) => Promise<unknown>,
    console: { log: (line: string) => void },
  ) => Promise<void>;
  await run((name) => import(name), { log: (line) => lines.push(line) });
  expect(lines).toEqual(['1 x 1 tokens, 6 x 6 pixels, 108 bytes', '3 x 3 tokens, 6 x 6 pixels, 108 bytes']);
});
