import { expect, it } from 'vitest';
import { entriesOf } from './check-dist.ts';

it('what a user may import are the exports that have a source', () => {
  const manifest = {
    name: '@star-webgpu/thing',
    exports: {
      '.': { '@star-webgpu/source': './src/index.ts', default: './dist/index.js' },
      './node': { '@star-webgpu/source': './src/node.ts', default: './dist/node.js' },
      './package.json': './package.json',
    },
  };
  expect(entriesOf(manifest)).toEqual([
    { entry: '@star-webgpu/thing', source: './src/index.ts' },
    { entry: '@star-webgpu/thing/node', source: './src/node.ts' },
  ]);
});
