import { defineKernel, type Kernel } from '../define-kernel.ts';
import { matrixCode, type MatrixSpec } from './matrix.ts';
import { baseSpec, gemmBindings, gemmFlops, gemmUniforms } from './spec.ts';

const halves = { storageA: 'f16', storageB: 'f16', storageC: 'f16', storageExtra: 'f16' } as const;
const packed = { storageA: 'packed', storageB: 'packed', storageC: 'packed', storageExtra: 'packed' } as const;
const base: MatrixSpec = {
  ...baseSpec,
  ...halves,
  rows: 128,
  columns: 128,
  depth: 32,
  rowsEach: 64,
  columnsEach: 32,
  m: 16,
  n: 16,
  k: 16,
  lanes: 32,
  syntax: 'chromium_experimental_subgroup_matrix',
};
const small = { rows: 64, columns: 64, rowsEach: 32, columnsEach: 16, m: 8, n: 8, k: 8 } as const;
const intel = { rows: 64, columns: 64, rowsEach: 16, columnsEach: 32, m: 8, n: 16, k: 16, lanes: 16 } as const;
const finished = { bias: true, activation: 'gelu', gate: true, residual: true, keep: true } as const;

/**
 * C[z] = finish(A[z] B[z] + bias), halves in, accumulated in f32.  A: [M, K] or [K, M], B: [K, N] or [N, K], C: [M, N].
 * One workgroup computes a tile of C by the adapter's matrix units, each subgroup some m x n matrices of it.
 */
export const gemmMatrixKernel: Kernel<MatrixSpec> = defineKernel<MatrixSpec>({
  name: 'gemm-matrix',
  bindings: gemmBindings,
  uniforms: gemmUniforms,
  enables: ({ syntax }) => ['f16', 'subgroups', syntax],
  code: matrixCode,
  flops: gemmFlops,
  examples: [
    base,
    { ...base, ...packed, ...finished, sourceB: 'columns' },
    { ...base, ...small, sourceA: 'columns', storageC: 'f32', accumulate: true },
    { ...base, ...intel, widthA: 1, widthB: 1, widthC: 1, bias: true },
    { ...base, ...packed, sourceA: 'forward' },
    { ...base, ...packed, sourceA: 'corner', doubled: true },
    { ...base, sourceA: 'input' },
    { ...base, ...small, sourceA: 'weight', storageC: 'f32' },
  ],
});
