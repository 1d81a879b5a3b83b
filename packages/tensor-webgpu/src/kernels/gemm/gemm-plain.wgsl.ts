import { defineKernel, type Kernel } from '../define-kernel.ts';
import { plainCode } from './plain.ts';
import { baseSpec, gemmBindings, type GemmSpec, gemmFlops, gemmUniforms } from './spec.ts';

const pieces = { widthA: 1, widthB: 1, widthC: 1 } as const;

/**
 * C[z] = finish(A[z] B[z] + bias), accumulated in f32.  A: [M, K] or [K, M], B: [K, N] or [N, K], C: [M, N].
 * One invocation computes 4x4 of C from memory: the reference for the other back ends, and the last resort.
 */
export const gemmPlainKernel: Kernel<GemmSpec> = defineKernel<GemmSpec>({
  name: 'gemm-plain',
  bindings: gemmBindings,
  uniforms: gemmUniforms,
  code: plainCode,
  flops: gemmFlops,
  examples: [
    baseSpec,
    { ...baseSpec, ...pieces, sourceB: 'columns' },
    { ...baseSpec, ...pieces, sourceA: 'columns', activation: 'silu', bias: true },
    { ...baseSpec, sourceA: 'corner', doubled: true, bias: true },
    { ...baseSpec, sourceA: 'forward', storageA: 'packed', storageB: 'packed', storageC: 'packed' },
    { ...baseSpec, ...pieces, storageA: 'packed', storageB: 'packed', sourceB: 'columns' },
    { ...baseSpec, sourceA: 'input', gate: true, residual: true, keep: true, storageExtra: 'packed' },
    { ...baseSpec, sourceA: 'weight', storageA: 'f16', storageB: 'f16', accumulate: true },
  ],
});
