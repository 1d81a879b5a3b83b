import {
  attention,
  backward,
  clone,
  currentDevice,
  matmul,
  scope,
  sum,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import type { Contender } from './rounds.ts';

/** Work to be timed. */
export interface Workload extends Contender {
  /** Floating-point operations of a run, where they are known. */
  readonly flops?: number;
  dispose(): void;
}

/** Work of a known size. */
export type SizedWorkload = Workload & Required<Pick<Workload, 'flops'>>;

/** Rate in GFLOPS, to a tenth, of so many floating-point operations in so many milliseconds. */
export const rateOf = (flops: number, milliseconds: number): number => Math.round(flops / milliseconds / 1e5) / 10;

const waves = (shape: readonly number[], phase: number, requiresGrad = false): Tensor => {
  const count = shape.reduce((product, side) => product * side, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.37 + phase)),
    shape,
    { requiresGrad },
  );
};

const freeing = (tensors: readonly Tensor[]) => (): void => {
  for (const one of tensors) one.dispose();
};

/** A product of two n x n matrices in f32. */
export function matmulWork(n: number): SizedWorkload {
  const [a, b] = [waves([n, n], 0), waves([n, n], 1)];
  const run = async (): Promise<void> => {
    matmul(a, b).dispose();
    await currentDevice().idle();
  };
  return { name: `matmul f32 ${n}^3`, flops: 2 * n ** 3, run, dispose: freeing([a, b]) };
}

/** A copy of so many f32 values; `bytes` are read and written. */
export function copyWork(count: number): Workload & { readonly bytes: number } {
  const x = waves([count], 0);
  const run = async (): Promise<void> => {
    clone(x).dispose();
    await currentDevice().idle();
  };
  return { name: `copy of ${count} values`, bytes: 8 * count, run, dispose: freeing([x]) };
}

const sides = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];

/** Block-causal attention over the ten scales of a 256 px picture, 16 heads of 64; counted are the pairs that the mask lets through. */
export function attentionWork(withBackward: boolean): SizedWorkload {
  const ends: number[] = [];
  for (const side of sides) ends.push((ends.at(-1) ?? 0) + side * side);
  const L = ends.at(-1)!;
  const limits_L = tensor(
    Uint32Array.from({ length: L }, (_, i) => ends.find((end) => end > i)!),
    [L],
    { dtype: 'u32' },
  );
  const parts = [0, 1, 2].map((phase) => waves([1, L, 16, 64], phase, withBackward));
  const [q, k, v] = parts as [Tensor, Tensor, Tensor];
  const run = async (): Promise<void> => {
    scope(() => {
      const y = attention(q, k, v, { scale: 0.125, limits: limits_L });
      if (withBackward) backward(sum(y), parts);
    });
    await currentDevice().idle();
  };
  const pairs = sides.reduce((total, side, i) => total + side * side * ends[i]!, 0);
  const flops = 4 * pairs * 16 * 64 * (withBackward ? 3.5 : 1);
  const name = `block-causal attention ${L} x 16 x 64, ${withBackward ? 'forward and backward' : 'forward'}`;
  return { name, flops, run, dispose: freeing([...parts, limits_L]) };
}
