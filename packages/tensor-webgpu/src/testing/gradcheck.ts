import { expect } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { noGrad } from '../autograd/record.ts';
import { mul } from '../ops/elementwise.ts';
import { sum } from '../ops/reduce.ts';
import { reshape } from '../ops/view.ts';
import { scope } from '../scope.ts';
import { Tensor, tensor } from '../tensor.ts';
import { relativeError } from './close.ts';
import { hashedValues } from './hashed.ts';

/** How exactly `gradcheck` compares. */
export interface GradcheckOptions {
  /** Step of the central difference; f32 forward error over it bounds the accuracy. */
  readonly step?: number;
  /** Relative error in the 2-norm: central differences in f32 reach about 1e-3. */
  readonly tolerance?: number;
}

/** Added to both sides, so that gradients of about zero are compared absolutely. */
const floor = 1e-2;

/**
 * Expects the recorded gradient of each input to equal central differences of a fixed random projection of the output.
 * Differences are taken along random directions, as many as there are elements up to 12 an input.
 */
export async function gradcheck(
  op: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { step = 1e-2, tolerance = 5e-3 }: GradcheckOptions = {},
): Promise<void> {
  const values = await Promise.all(inputs.map((x) => x.data()));
  const fresh = (all: readonly Float32Array[]): Tensor[] =>
    all.map((v, i) => tensor(v, inputs[i]!.shape, { requiresGrad: true }));
  const gradients = scope(() => {
    const leaves = fresh(values);
    return backward(project(op(...leaves)), leaves);
  });
  const evaluate = async (all: readonly Float32Array[]): Promise<number> => {
    const y = scope(() => noGrad(() => op(...fresh(all))));
    const total = projectOnHost(await scope(() => reshape(y, [y.size])).data());
    y.dispose();
    return total;
  };
  for (let i = 0; i < inputs.length; i++) {
    const analytic = await gradients[i]!.data();
    const [got, want] = [[] as number[], [] as number[]];
    for (let d = 0; d < Math.min(12, values[i]!.length); d++) {
      const direction = hashedValues(`direction/${i}/${d}`, values[i]!.length);
      const moved = (sign: number): Float32Array[] =>
        values.map((v, k) => (k === i ? v.map((x, j) => x + sign * step * direction[j]!) : v));
      want.push(((await evaluate(moved(1))) - (await evaluate(moved(-1)))) / (2 * step));
      got.push(analytic.reduce((total, g, j) => total + g * direction[j]!, 0));
    }
    expect(
      relativeError([...got, floor], [...want, floor]),
      `gradient of input ${i}: got ${got.slice(0, 4)}, by differences ${want.slice(0, 4)}`,
    ).toBeLessThanOrEqual(tolerance);
  }
}

const projection = (count: number): Float32Array => hashedValues('projection', count);

const project = (y: Tensor): Tensor => sum(mul(reshape(y, [y.size]), tensor(projection(y.size), [y.size])));

/** In float64, so that the difference quotient only carries the op's own rounding. */
function projectOnHost(y: Float32Array): number {
  const weights = projection(y.length);
  return y.reduce((total, value, i) => total + value * weights[i]!, 0);
}
