import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkRepository, faultsOf } from './check-layers.ts';

const file = (owner: string, text: string, name = 'x.ts'): { owner: string; path: string; text: string } => ({
  owner,
  path: `packages/${owner}/src/${name}`,
  text,
});

describe('layers', () => {
  it('hold in this repository', () => {
    expect(checkRepository(fileURLToPath(new URL('..', import.meta.url)))).toEqual([]);
  });

  it.each([
    [
      'a sideways import',
      file('vqvae', `import { x } from '@star-webgpu/text-encoder';`),
      'must not import text-encoder: it is no layer below vqvae',
    ],
    [
      'an upward import',
      file('tensor-webgpu', `import type { x } from '@star-webgpu/vqvae/scales';`),
      'must not import vqvae: it is no layer below tensor-webgpu',
    ],
    [
      'data in the sampler',
      file('sampler', `await import('@star-webgpu/data-lmdb')`),
      'must not import data-lmdb: sampler knows nothing of it',
    ],
    [
      'Node in the browser’s half',
      file('sampler', `import { readFile } from 'node:fs';`),
      'must not import node:fs: only files named node.ts may',
    ],
    [
      'a shader outside the kernels',
      file('vqvae', 'const code = `@compute @workgroup_size(1) fn main() {}`;'),
      'must not hold WGSL: it belongs in tensor-webgpu/src/kernels',
    ],
    [
      'a device outside tensor-webgpu',
      file('sampler', 'let d: GPUDevice;'),
      'must not touch GPUDevice or GPUBuffer: they belong to tensor-webgpu',
    ],
    ['printing', file('trainer', 'console.log(1);'), 'must not print: only apps do'],
    [
      'the environment',
      file('trainer', 'process.env.HOME;'),
      'must not read the environment: only apps and node.ts do',
    ],
  ])('name %s', (_, given, fault) => {
    expect(faultsOf(given)).toEqual([`${given.path}: ${fault}`]);
  });

  it('let node.ts, tests and apps be', () => {
    expect(faultsOf(file('tensor-webgpu', `import 'node:fs'; process.env.A;`, 'device/node.ts'))).toEqual([]);
    expect(faultsOf(file('sampler', `import 'node:fs'; console.log(1);`, 'x.test.ts'))).toEqual([]);
    expect(faultsOf(file('cli', `import '@star-webgpu/trainer'; console.log(process.argv);`))).toEqual([]);
  });
});
