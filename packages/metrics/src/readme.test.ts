import { readFile } from 'node:fs/promises';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, expect, it } from 'vitest';

beforeAll(async () => void (await testDevice()));

it('the example of the README prints the table that it shows', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const example = readme.match(/```ts\n(.*?)```/s)![1]!;
  const body = example.replace(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = await load('$2');");
  const lines: string[] = [];
  const run = new Function('load', 'console', `return (async () => { ${body} })();`) as (
    load: (name: string) => Promise<unknown>,
    console: { log: (line: string) => void },
  ) => Promise<void>;
  await run(() => import('./index.ts'), { log: (line) => lines.push(...line.split('\n')) });
  expect(lines).toEqual(example.match(/^\/\/ .*$/gm)!.map((line) => line.slice(3)));
});
