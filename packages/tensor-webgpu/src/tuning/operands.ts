import type { Device } from '../device/device.ts';
import { bytesPerElement } from '../dtype.ts';
import { type Gemm, gemm, gemmProblem, type GemmSides } from '../ops/gemm.ts';
import { type GemmPlan, type GemmProblem, withPlan } from '../ops/gemm-plan.ts';
import { normal } from '../ops/random.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';

/** A product to be tuned: sides, batches, layouts, and the window where A is a picture. */
export interface TuningProblem extends GemmSides {
  readonly name: string;
  readonly dtype: 'f32' | 'f16';
}

/** A product with its operands in place. */
export interface Trial {
  readonly problem: GemmProblem;
  /** Runs the product by a plan; its result is in `c` once the device is idle. */
  run(plan: GemmPlan): void;
  /** Overwrites the result, so that a plan that stores nothing cannot pass by another's. */
  clear(): void;
  /** [batch, M, N] */
  readonly c: Tensor;
  dispose(): void;
}

/** Elements of A: the pictures behind a window, or the stored matrices. */
function sizeOfA({ M, K, batch = 1, window }: TuningProblem): number {
  if (!window) return batch * M * K;
  const { inHeight, inWidth, outHeight, outWidth, channels } = window.uniforms;
  const pixels = window.kind === 'weight' ? K : M;
  return (pixels / (outHeight * outWidth)) * inHeight * inWidth * channels;
}

/** Normally distributed values that are the same at every run; halves are rounded on the host, which needs no feature. */
async function drawn(count: number, stream: number, dtype: TuningProblem['dtype']): Promise<Tensor> {
  const exact = normal([count], { seed: 1, stream });
  if (dtype === 'f32') return exact;
  const values = await exact.data();
  exact.dispose();
  return tensor(values, [count], { dtype });
}

/** Operands of a problem on the device in use. */
export async function trialOf(problem: TuningProblem, device: Device): Promise<Trial> {
  const { M, N, K, batch = 1, dtype } = problem;
  const a = await drawn(sizeOfA(problem), 1, dtype);
  const b = await drawn(batch * K * N, 2, dtype);
  const c = empty([batch, M, N], dtype, device);
  const steps = batch > 1 ? { batchA: M * K, batchB: K * N } : {};
  const product: Gemm = { ...problem, ...steps, a, b, c };
  const run = (plan: GemmPlan): void => withPlan(plan, () => gemm(product));
  const clear = (): void => device.write(c.buffer, new Uint8Array(c.size * bytesPerElement[dtype]));
  return {
    problem: gemmProblem(problem, dtype),
    run,
    clear,
    c,
    dispose: () => [a, b, c].forEach((one) => one.dispose()),
  };
}
