import { defineKernel, type Kernel } from '../define-kernel.ts';
import { sharedCode, type SharedSpec } from './shared.ts';
import { baseSpec, gemmBindings, gemmFlops, gemmUniforms } from './spec.ts';

const base: SharedSpec = { ...baseSpec, lanes: 8, rows: 16, columns: 4 };
const packed = { storageA: 'packed', storageB: 'packed', storageC: 'packed', storageExtra: 'packed' } as const;
const halves = { storageA: 'f16', storageB: 'f16', storageC: 'f16', storageExtra: 'f16' } as const;
const pieces = { widthA: 1, widthB: 1, widthC: 1 } as const;
const finished = { bias: true, activation: 'gelu', gate: true, residual: true, keep: true } as const;

/**
 * C[z] = finish(A[z] B[z] + bias), accumulated in f32.  A: [M, K] or [K, M], B: [K, N] or [N, K], C: [M, N].
 * One subgroup of 4 or 8 lanes computes a tile of C: no workgroup memory, no barrier; made for software adapters.
 */
export const gemmSharedKernel: Kernel<SharedSpec> = defineKernel<SharedSpec>({
  name: 'gemm-shared',
  bindings: gemmBindings,
  uniforms: gemmUniforms,
  enables: () => ['subgroups'],
  code: sharedCode,
  flops: gemmFlops,
  examples: [
    base,
    { ...base, sourceB: 'columns', bias: true, activation: 'gelu' },
    { ...base, ...halves, sourceA: 'columns' },
    { ...base, ...packed, ...finished, sourceB: 'columns' },
    { ...base, ...packed, ...pieces, storageC: 'f32', sourceA: 'columns', storageExtra: 'f32', residual: true },
    { ...base, ...packed, columns: 2, widthB: 2, widthC: 2, rows: 32, accumulate: true },
    { ...base, ...packed, columns: 1, widthB: 1, widthC: 1, storageC: 'f16', storageExtra: 'f16', bias: true },
    { ...base, ...pieces, ...finished, lanes: 4, rows: 8, sourceB: 'columns' },
    { ...base, rows: 2, sourceB: 'columns', accumulate: true },
    { ...base, rows: 2, sourceA: 'columns' },
    { ...base, sourceA: 'forward', bias: true },
    { ...base, sourceA: 'corner', bias: true, doubled: true },
    { ...base, sourceA: 'input' },
    { ...base, sourceA: 'weight' },
    { ...base, ...packed, sourceA: 'forward' },
    { ...base, ...packed, sourceA: 'weight', storageC: 'f32' },
    { ...base, rows: 32, columns: 3, widthB: 1, widthC: 1, sourceA: 'forward', bias: true },
    { ...base, ...halves, rows: 32, columns: 2, widthB: 2, widthC: 2, sourceA: 'weight' },
    { ...base, rows: 32, columns: 1, widthC: 1, sourceB: 'columns', bias: true, activation: 'silu' },
  ],
});
