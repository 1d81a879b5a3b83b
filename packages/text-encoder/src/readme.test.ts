import { readFile } from 'node:fs/promises';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, expect, it } from 'vitest';
import * as textEncoder from './index.ts';

beforeAll(async () => void (await testDevice()));

it('the example of the README prints the shapes that it says', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const example = readme.match(/```ts\n(.*?)```/s)![1]!;
  const [, names, code] = example.match(/^import \{ (.*?) \} from '@star-webgpu\/text-encoder';\n(.*)$/s)!;
  const printed: unknown[] = [];
  const run = new Function('exports', 'console', `const { ${names} } = exports;\n${code}`);
  run(textEncoder, { log: (...values: unknown[]) => printed.push(...values) });
  const promised = example.match(/\/\/ (.*)$/m)![1]!;
  expect(printed.map((shape) => `[${(shape as number[]).join(', ')}]`).join(' ')).toBe(promised);
});
