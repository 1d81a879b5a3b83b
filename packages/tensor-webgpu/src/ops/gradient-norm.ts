import { noGrad } from '../autograd/record.ts';
import type { DType } from '../dtype.ts';
import { check } from '../errors.ts';
import { measureKernel, mostTensors, normKernel, vectorsPerBlock } from '../kernels/optimizer.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor } from '../tensor.ts';
import { floatStorageOf, launch } from './launch.ts';
import { map } from './map.ts';
import { contiguous } from './view.ts';

/** The 2-norm of all tensors as one long vector -> f32 []. No gradient. */
export const globalNorm = (tensors: readonly Tensor[]): Tensor => scope(() => summary('globalNorm', tensors).norm);

/** 1 if no element of any tensor is infinite or NaN, else 0 -> bool []. */
export const allFinite = (tensors: readonly Tensor[]): Tensor => scope(() => summary('allFinite', tensors).finite);

/** What gradients are multiplied by so that their norm is at most `limit`: min(1, limit / (norm + 1e-6)), as PyTorch clips. norm: f32 [] -> f32 []. */
export const clipFactor = (norm: Tensor, limit: number): Tensor =>
  map('clipFactor', [norm], 'min(vec4<f32>(1.0), u.s0 / (a + 1e-6))', { scalars: [limit] });

function summary(op: string, tensors: readonly Tensor[]): { norm: Tensor; finite: Tensor } {
  const parts = measure(op, tensors);
  const { device } = parts.storage;
  const [norm, finite] = [empty([], 'f32', device), empty([], 'bool', device)];
  launch(normKernel, {
    spec: {},
    tensors: { parts, norm, finite },
    uniforms: { count: parts.shape[0]! },
    grid: [1],
  });
  return { norm, finite };
}

/** Blocks of a tensor: workgroups that the kernels over several tensors need for it. */
const blocksOf = ({ size }: Tensor): number => Math.ceil(size / (4 * vectorsPerBlock));

/** The first block behind each tensor, when their blocks are counted through. */
export function blockEnds(tensors: readonly Tensor[]): number[] {
  let end = 0;
  return tensors.map((tensor) => (end += blocksOf(tensor)));
}

/** A table over tensors as numbered uniforms; the kernel reads as many as it has tensors. */
export const tableUniforms = (columns: Readonly<Record<string, readonly number[]>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(columns).flatMap(([name, values]) =>
      Array.from({ length: mostTensors }, (_, s) => [`${name}${s}`, values[s] ?? 0]),
    ),
  );

/** Sum of squares and number of infinities and NaNs of every block of all tensors, as many tensors a dispatch as bind -> f32 [P, 2]. */
export function measure(op: string, tensors: readonly Tensor[]): Tensor {
  check(op, tensors.length > 0, () => 'tensors must not be empty. Pass at least one.');
  const { device } = tensors[0]!.storage;
  const parts = empty([blockEnds(tensors).at(-1)!, 2], 'f32', device);
  const most = Math.min(mostTensors, device.gpu.limits.maxStorageBuffersPerShaderStage - 1);
  let first = 0;
  for (const group of groupsOf(tensors, most)) {
    const ends = blockEnds(group);
    const blocks = ends.at(-1)!;
    const xs = noGrad(() => group.map((x) => contiguous(x)));
    launch(measureKernel, {
      spec: { type: floatStorageOf(group[0]!), count: group.length },
      tensors: { ...Object.fromEntries(xs.map((x, s) => [`x${s}`, x])), parts },
      uniforms: { first, blocks, ...tableUniforms({ end: ends, size: group.map(({ size }) => size) }) },
      grid: foldGrid(blocks),
    });
    xs.forEach((x, s) => x === group[s] || x.dispose());
    first += blocks;
  }
  return parts;
}

/** Neighbours of one dtype, at most so many together. */
function groupsOf(tensors: readonly Tensor[], most: number): Tensor[][] {
  const groups: Tensor[][] = [];
  let dtype: DType | undefined;
  for (const tensor of tensors) {
    if (tensor.dtype === dtype && groups.at(-1)!.length < most) groups.at(-1)!.push(tensor);
    else groups.push([tensor]);
    dtype = tensor.dtype;
  }
  return groups;
}
