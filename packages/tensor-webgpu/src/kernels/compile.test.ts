import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, globals } from 'webgpu';
import { gemmMatrixKernel } from './gemm/gemm-matrix.wgsl.ts';
import { allKernels, type Kernel, shaderSource, type Spec } from './define-kernel.ts';

const folder = new URL('./', import.meta.url);
const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.wgsl.ts'));
for (const file of files) await import(new URL(file, folder).href);

let device: GPUDevice;
const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);

beforeAll(async () => {
  Object.assign(globalThis, globals);
  const adapter = await gpu.requestAdapter();
  const wanted = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[];
  const requiredFeatures = wanted.filter((name) => adapter!.features.has(name));
  device = await adapter!.requestDevice({ requiredFeatures });
});

afterAll(() => device.destroy());

/** What the compiler says against a kernel's shader, line by line. */
async function faults(kernel: Kernel, spec: Spec): Promise<string[]> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: shaderSource(kernel, spec) });
  const { messages } = await module.getCompilationInfo();
  await device.popErrorScope();
  return messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message.split('\n')[0]}`);
}

describe('every kernel compiles for every one of its examples', () => {
  it.each(allKernels().map((kernel) => [kernel.name, kernel] as const))('%s', async (_, kernel) => {
    expect(kernel.examples.length).toBeGreaterThan(0);
    for (const spec of kernel.examples) expect(await faults(kernel, spec)).toEqual([]);
  });

  it('spells subgroup matrices by the standard as by its forerunner, but for the name of the extension', () => {
    const [spec] = gemmMatrixKernel.examples;
    const standard = shaderSource(gemmMatrixKernel, { ...spec!, syntax: 'subgroup_matrix' as const });
    expect(standard).toContain('enable subgroup_matrix;');
    expect(standard.replace('enable subgroup_matrix;', 'enable chromium_experimental_subgroup_matrix;')).toBe(
      shaderSource(gemmMatrixKernel, spec!),
    );
  });

  it('finds every kernel file', () => {
    expect(allKernels().length).toBeGreaterThanOrEqual(files.length);
  });

  it('reports a wrong shader with its place', async () => {
    const broken: Kernel = { ...allKernels()[0]!, code: () => 'fn main() { let x = y; }' };
    expect((await faults(broken, broken.examples[0]!)).join()).toMatch(/^\d+:\d+ unresolved value 'y'/);
  });
});
