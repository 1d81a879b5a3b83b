import type { Binding, KernelWork } from '../define-kernel.ts';
import { elementType, type FloatStorage } from '../storage.ts';

/** What a tile does to the sums before they are stored. */
export type Activation = 'none' | 'relu' | 'gelu' | 'silu';

/** A's elements: stored [M, K], stored [K, M], or a picture seen through a convolution's window; `corner` moves it by (a, b) for batch 2a + b. */
export type SourceA = 'rows' | 'columns' | 'forward' | 'corner' | 'input' | 'weight';

/** B's elements: stored [K, N] or stored [N, K]. */
export type SourceB = 'rows' | 'columns';

/** The part of a product's spec that every back end shares: operands and epilogue. */
export interface GemmSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly sourceA: SourceA;
  readonly sourceB: SourceB;
  readonly storageA: FloatStorage;
  readonly storageB: FloatStorage;
  readonly storageC: FloatStorage;
  /** Neighbours that one load or store takes whole; 1 where rows do not divide into them. */
  readonly widthA: number;
  readonly widthB: number;
  readonly widthC: number;
  /** Storage of bias, gate and residual. */
  readonly storageExtra: FloatStorage;
  readonly bias: boolean;
  readonly activation: Activation;
  /** The sums with their bias are also stored before the activation, as a backward wants them. */
  readonly keep: boolean;
  readonly gate: boolean;
  readonly residual: boolean;
  /** C's values are added to, not replaced. */
  readonly accumulate: boolean;
  /** C is a picture of twice the sides: batch 2a + b holds its pixels (2y + a, 2x + b). */
  readonly doubled: boolean;
}

/** A spec that stores plain sums, with whole loads and stores. */
export const baseSpec: GemmSpec = {
  sourceA: 'rows',
  sourceB: 'rows',
  storageA: 'f32',
  storageB: 'f32',
  storageC: 'f32',
  widthA: 4,
  widthB: 4,
  widthC: 4,
  storageExtra: 'f32',
  bias: false,
  activation: 'none',
  keep: false,
  gate: false,
  residual: false,
  accumulate: false,
  doubled: false,
};

/** Numbers of a convolution's window, as run-time values; zero elsewhere. */
export const windowUniforms = {
  inHeight: 'u32',
  inWidth: 'u32',
  channels: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  kernelHeight: 'u32',
  kernelWidth: 'u32',
  stride: 'u32',
  padTop: 'u32',
  padLeft: 'u32',
} as const;

/** Run-time numbers of every tile kernel; `parts` split K into runs of `partK`, of which each writes its own C. */
export const gemmUniforms: Readonly<Record<string, 'u32'>> = {
  M: 'u32',
  N: 'u32',
  K: 'u32',
  batchA: 'u32',
  batchB: 'u32',
  offsetB: 'u32',
  parts: 'u32',
  partK: 'u32',
  gateRows: 'u32',
  ...windowUniforms,
};

/** WGSL: batch and part of a workgroup, where its matrices start, and its run of K: k0 up to k1. Corners are told apart by `base_a` and `base_c`. */
export const prologue = ({ doubled }: GemmSpec): string => `let batch = group.z / u.parts; let part = group.z % u.parts;
  let base_a = batch * u.batchA; let base_b = u.offsetB + batch * u.batchB; let base_c = ${doubled ? 'batch' : 'group.z * u.M * u.N'};
  let k0 = part * u.partK; let k1 = min(k0 + u.partK, u.K);`;

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
export const lanesOf = ['x', 'y', 'z', 'w'] as const;

/** Buffers of a tile kernel, in the order of its spec. */
export function gemmBindings(spec: GemmSpec): Record<string, Binding> {
  const { storageA, storageB, storageC, storageExtra, widthA, widthB, widthC } = spec;
  const extra = `read ${elementType(storageExtra, widthC)}` as Binding;
  const result = `write ${elementType(storageC, widthC)}` as Binding;
  return {
    a_data: `read ${elementType(storageA, widthA)}`,
    b_data: `read ${elementType(storageB, widthB)}`,
    ...epilogueBindings(spec, extra, result),
    c_data: result,
  };
}

/** Buffers that only some epilogues have. */
export function epilogueBindings(spec: GemmSpec, extra: Binding, result: Binding): Record<string, Binding> {
  return {
    ...(spec.bias && { bias_data: `read ${elementType(spec.storageExtra, 1)}` as Binding }),
    ...(spec.gate && { gate_data: extra }),
    ...(spec.residual && { residual_data: extra }),
    ...(spec.keep && { kept_data: result }),
  };
}

/** Multiply-adds of a run count twice; parts of K share one product. */
export const gemmFlops = ({ uniforms: u, grid }: KernelWork<GemmSpec>): number =>
  (2 * u['M']! * u['N']! * u['K']! * grid[2]) / u['parts']!;
