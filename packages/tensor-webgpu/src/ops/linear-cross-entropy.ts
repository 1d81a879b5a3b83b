import { isRecorded, noGrad, record, wantsGrad } from '../autograd/record.ts';
import { bytesPerElement } from '../dtype.ts';
import { check } from '../errors.ts';
import { scope } from '../scope.ts';
import { sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { singleType } from './launch.ts';
import { addInto, map } from './map.ts';
import { linear, rowsProduct } from './linear.ts';
import { matmul } from './matmul.ts';
import { toOperand } from './precision.ts';
import { mean, sum } from './reduce.ts';
import { type CrossEntropyOptions, crossEntropyRows } from './softmax.ts';
import { concat, contiguous, slice } from './view.ts';

/** What `linearCrossEntropy` compares with, and the memory that it may take. */
export interface LinearCrossEntropyOptions extends CrossEntropyOptions {
  /** u32 [R] */
  readonly targets: Tensor;
  /** [V] */
  readonly bias?: Tensor | undefined;
  /** Most bytes of logits at once; 128 MiB, or one binding where it holds less, if not given. */
  readonly chunkBytes?: number;
}

/** Result of `linearCrossEntropy`. */
export interface LinearCrossEntropy {
  /** Mean cost over all rows, ignored ones counted as 0: f32 []. Gradients flow from here. */
  readonly loss: Tensor;
  /** Cost of each row, f32 [R]; no gradient. */
  readonly losses: Tensor;
  /** 1 for each row whose likeliest class is the target, 0 for others and ignored ones: f32 [R]; no gradient. */
  readonly hits: Tensor;
}

const largestChunk = 2 ** 27;

/**
 * Mean cross-entropy of x W^T + bias without ever holding all logits. x: [R, C], weight: [V, C].
 * Chunks of rows are multiplied out; their gradient overwrites them, and its products are added up. So gradients are made along with the loss,
 * no logit is computed twice, and the backward only multiplies by what comes from above.
 * @throws TensorError if shapes do not fit.
 */
export function linearCrossEntropy(x: Tensor, weight: Tensor, options: LinearCrossEntropyOptions): LinearCrossEntropy {
  checkInputs(x, weight, options);
  const { bias } = options;
  const inputs = bias ? [x, weight, bias] : [x, weight];
  const recorded = isRecorded(inputs);
  const wanted = [x, weight, bias].map((input) => recorded && input !== undefined && wantsGrad(input));
  const { loss, losses, hits, gradients } = scope(() => noGrad(() => overChunks(x, weight, { ...options, wanted })));
  record('linearCrossEntropy', loss, inputs, (dloss) =>
    inputs.map((_, i) => {
      const gradient = gradients[i];
      // costs were summed, so that f16 slopes do not vanish: the mean is made here
      return gradient
        ? map('linearCrossEntropy', [gradient, dloss], 'a * b * u.s0', { scalars: [1 / x.shape[0]!] })
        : null;
    }),
  );
  return { loss, losses, hits };
}

interface Chunked extends LinearCrossEntropyOptions {
  /** Which gradients are made: of x, weight and bias. */
  readonly wanted: readonly boolean[];
}

/** What one chunk of rows, or all, gives; gradients are those of the sum of costs. */
interface Part {
  readonly losses: Tensor;
  readonly hits: Tensor;
  readonly gradients: readonly (Tensor | undefined)[];
}

function overChunks(x: Tensor, weight: Tensor, options: Chunked): Part & { loss: Tensor } {
  const rows = chunkRows(x, weight, options);
  const [R] = x.shape as [number, number];
  const parts: Part[] = [];
  let total: readonly (Tensor | undefined)[] = [];
  for (let from = 0; from < R; from += rows) {
    const part = scope(() => chunk(x, weight, { ...options, from, to: Math.min(from + rows, R), total }));
    total = part.gradients.slice(1);
    parts.push(part);
  }
  const joined = (pick: (part: Part) => Tensor): Tensor =>
    parts.length > 1 ? concat(parts.map(pick), 0) : pick(parts[0]!);
  const losses = joined((part) => part.losses);
  const dx = options.wanted[0] ? joined((part) => part.gradients[0]!) : undefined;
  return { loss: mean(losses), losses, hits: joined((part) => part.hits), gradients: [dx, ...total] };
}

/** Rows of a chunk: as even as the budget allows. */
function chunkRows(x: Tensor, weight: Tensor, { chunkBytes = largestChunk }: Chunked): number {
  const R = x.shape[0]!;
  const rowBytes = weight.shape[0]! * bytesPerElement[x.dtype];
  const budget = Math.min(chunkBytes, x.storage.device.largestBindingBytes);
  const most = Math.max(1, Math.floor(budget / rowBytes));
  return Math.max(1, Math.ceil(R / Math.ceil(R / most)));
}

interface ChunkOptions extends Chunked {
  readonly from: number;
  readonly to: number;
  /** Gradients of weight and bias by the chunks before, which are added to. */
  readonly total: readonly (Tensor | undefined)[];
}

function chunk(x: Tensor, weight: Tensor, options: ChunkOptions): Part {
  const { targets, bias, labelSmoothing = 0, ignoreIndex = -1, wanted, from, to, total } = options;
  const rows = toOperand(contiguous(slice(x, 0, from, to)));
  const sums = linear(rows, weight, bias);
  const logits = weight.shape[0]! % 4 === 0 ? sums : cast(sums, singleType(sums));
  const slope = wanted.some(Boolean) ? { slope: 1 } : {};
  const labels = contiguous(slice(targets, 0, from, to));
  const { loss, hits } = crossEntropyRows(logits, labels, { labelSmoothing, ignoreIndex, ...slope });
  const slopes = cast(logits, sums.dtype);
  const gradients = [
    wanted[0] ? matmul(slopes, weight) : undefined,
    wanted[1] ? rowsProduct(slopes, rows, total[0] ?? weight.dtype) : undefined,
    wanted[2] ? addedTo(total[1], sum(slopes, { axis: 0 })) : undefined,
  ];
  return { losses: loss, hits, gradients };
}

function addedTo(total: Tensor | undefined, x: Tensor): Tensor {
  if (total) addInto(total, x);
  return total ?? x;
}

function checkInputs(x: Tensor, weight: Tensor, { targets, bias }: LinearCrossEntropyOptions): void {
  const [R, C] = x.shape as [number, number];
  const V = weight.shape[0]!;
  const op = 'linearCrossEntropy';
  check(op, x.rank === 2 && R > 0, () => `x must be [R, C] with R above 0, got [${x.shape}].`);
  check(op, weight.rank === 2 && weight.shape[1] === C, () => `weight must be [V, ${C}], got [${weight.shape}].`);
  check(op, !bias || sameShape(bias.shape, [V]), () => `bias must be [${V}], got [${bias?.shape}].`);
  check(
    op,
    sameShape(targets.shape, [R]) && targets.dtype === 'u32',
    () => `targets must be u32 [${R}], got ${targets.dtype} [${targets.shape}].`,
  );
}
