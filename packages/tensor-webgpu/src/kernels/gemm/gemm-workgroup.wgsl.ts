import { defineKernel, type Kernel } from '../define-kernel.ts';
import { baseSpec, gemmBindings, gemmFlops, gemmUniforms } from './spec.ts';
import { workgroupCode, type WorkgroupSpec } from './workgroup.ts';

const base: WorkgroupSpec = { ...baseSpec, rows: 64, columns: 64, depth: 16, rowsEach: 8, columnsEach: 8 };
const packed = { storageA: 'packed', storageB: 'packed', storageC: 'packed', storageExtra: 'packed' } as const;
const pieces = { widthA: 1, widthB: 1, widthC: 1 } as const;
const finished = { bias: true, activation: 'gelu', gate: true, residual: true, keep: true } as const;

/**
 * C[z] = finish(A[z] B[z] + bias), accumulated in f32.  A: [M, K] or [K, M], B: [K, N] or [N, K], C: [M, N].
 * One workgroup computes a tile of C through workgroup memory, each invocation 4x4 to 8x8 of it; for GPUs of any subgroup size.
 */
export const gemmWorkgroupKernel: Kernel<WorkgroupSpec> = defineKernel<WorkgroupSpec>({
  name: 'gemm-workgroup',
  bindings: gemmBindings,
  uniforms: gemmUniforms,
  code: workgroupCode,
  flops: gemmFlops,
  examples: [
    base,
    { ...base, rows: 128, columns: 128, sourceB: 'columns', ...finished },
    { ...base, ...packed, depth: 32, rowsEach: 4, columnsEach: 4, sourceA: 'columns', accumulate: true },
    { ...base, ...pieces, storageA: 'packed', storageB: 'packed', rows: 8, columns: 128, rowsEach: 4, columnsEach: 4 },
    { ...base, storageA: 'f16', storageB: 'f16', rows: 128, columns: 8, rowsEach: 4, columnsEach: 4, depth: 32 },
    { ...base, ...packed, sourceA: 'forward', bias: true },
    { ...base, ...packed, sourceA: 'corner', doubled: true },
    { ...base, sourceA: 'input' },
    { ...base, sourceA: 'weight' },
  ],
});
