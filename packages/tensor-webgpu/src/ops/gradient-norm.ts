import { noGrad } from '../autograd/record.ts';
import { floatType } from '../dtype.ts';
import { check } from '../errors.ts';
import { measureKernel, partsPerGroup, vectorsPerPart } from '../kernels/optimizer.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor } from '../tensor.ts';
import { sqrt } from './elementwise.ts';
import { launch } from './launch.ts';
import { map } from './map.ts';
import { sum } from './reduce.ts';
import { contiguous } from './view.ts';

/** The 2-norm of all tensors as one long vector -> f32 []. No gradient. */
export const globalNorm = (tensors: readonly Tensor[]): Tensor =>
  scope(() => noGrad(() => sqrt(measure('globalNorm', tensors, 'squares'))));

/** 1 if no element of any tensor is infinite or NaN, else 0 -> bool []. */
export const allFinite = (tensors: readonly Tensor[]): Tensor =>
  scope(() =>
    noGrad(() =>
      map(
        'allFinite',
        [measure('allFinite', tensors, 'non-finite')],
        'select(vec4<u32>(0u), vec4<u32>(1u), a == vec4<f32>(0.0))',
        {
          dtype: 'bool',
        },
      ),
    ),
  );

/** What gradients are multiplied by so that their norm is at most `limit`: min(1, limit / (norm + 1e-6)), as PyTorch clips. norm: f32 [] -> f32 []. */
export const clipFactor = (norm: Tensor, limit: number): Tensor =>
  map('clipFactor', [norm], 'min(vec4<f32>(1.0), u.s0 / (a + 1e-6))', { scalars: [limit] });

/** Partial results that a tensor of this size needs. */
const partsOf = (size: number): number => {
  const vectors = Math.ceil(size / 4);
  const stretches = Math.ceil(vectors / (vectorsPerPart * partsPerGroup));
  return Math.min(vectors, stretches * partsPerGroup);
};

/** Sums a measure over all elements of all tensors, in a fixed order. */
function measure(op: string, tensors: readonly Tensor[], what: 'squares' | 'non-finite'): Tensor {
  check(op, tensors.length > 0, () => 'tensors must not be empty. Pass at least one.');
  const parts = empty(
    [tensors.reduce((total, { size }) => total + partsOf(size), 0)],
    'f32',
    tensors[0]!.storage.device,
  );
  let first = 0;
  for (const x of tensors) {
    launch(measureKernel, {
      spec: { type: floatType(x.dtype), measure: what },
      tensors: { x: contiguous(x), parts },
      uniforms: { count: x.size, first },
      grid: foldGrid(Math.ceil(x.size / (4 * vectorsPerPart * partsPerGroup))),
    });
    first += partsOf(x.size);
  }
  return sum(parts);
}
