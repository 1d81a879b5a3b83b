import { record } from '../autograd/record.ts';
import type { Device } from '../device/device.ts';
import { check } from '../errors.ts';
import { foldGrid, type RowLanes } from '../kernels/snippets.ts';
import {
  crossEntropyGradientKernel,
  crossEntropyKernel,
  entropyKernel,
  softmaxKernel,
} from '../kernels/softmax.wgsl.ts';
import { rowsOf, sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { add, exp, mul, neg, sub } from './elementwise.ts';
import { floatStorageOf, launch, singleStorageOf, singleType } from './launch.ts';
import { rowRuns, rowsPart } from './parts.ts';
import { sum } from './reduce.ts';
import { contiguous, reshape } from './view.ts';

/** Invocations that share a row of this width. */
const lanesFor = (width: number): number => (width < 64 ? 1 : width < 512 ? 8 : 64);

function normalise(x: Tensor, log: boolean): Tensor {
  const { R, C } = rowsOf(x.shape);
  const lanes = lanesFor(C);
  const y = empty(x.shape, singleType(x), x.storage.device);
  const source = contiguous(x);
  for (const run of rowRuns('softmax', R, [source, y])) {
    const rows = run[1] - run[0];
    launch(softmaxKernel, {
      spec: { type: floatStorageOf(x), result: singleStorageOf(y), log, lanes },
      tensors: { x: rowsPart(source, R, run), y: rowsPart(y, R, run) },
      uniforms: { rows, width: C },
      grid: foldGrid(Math.ceil((rows * lanes) / 64)),
    });
  }
  return cast(y, x.dtype);
}

/** Softmax over the last axis. x: [..., C] -> [..., C]. */
export function softmax(x: Tensor): Tensor {
  const y = normalise(x, false);
  // dx = y (dy - sum(y dy))
  return record('softmax', y, [x], (dy) => [mul(y, sub(dy, sum(mul(y, dy), { axis: -1, keepDim: true })))]);
}

/** Logarithm of the softmax over the last axis. x: [..., C] -> [..., C]. */
export function logSoftmax(x: Tensor): Tensor {
  const y = normalise(x, true);
  // dx = dy - softmax(x) sum(dy)
  return record('logSoftmax', y, [x], (dy) => [sub(dy, mul(exp(y), sum(dy, { axis: -1, keepDim: true })))]);
}

/** Entropy in nats of the softmax over the last axis; -infinity counts nothing. x: [..., C] -> f32 [...]. */
export function entropy(x: Tensor): Tensor {
  const { R, C } = rowsOf(x.shape);
  const lanes = lanesFor(C);
  const y = empty(x.shape.slice(0, -1), 'f32', x.storage.device);
  launch(entropyKernel, {
    spec: { type: floatStorageOf(x), lanes },
    tensors: { x: contiguous(x), y },
    uniforms: { rows: R, width: C },
    grid: foldGrid(Math.ceil((R * lanes) / 64)),
  });
  const column = (of: Tensor): Tensor => reshape(of, [...y.shape, 1]);
  // dx = -dy p (log p + y)
  return record('entropy', y, [x], (dy) => [mul(neg(column(dy)), mul(softmax(x), add(logSoftmax(x), column(y))))]);
}

/** Which targets count in a cross-entropy, and how sharply. */
export interface CrossEntropyOptions {
  /** Share of the target spread evenly over all classes. */
  readonly labelSmoothing?: number;
  /** Rows with this target cost nothing. */
  readonly ignoreIndex?: number;
}

/**
 * Cross-entropy of each row. logits: [R, V], targets: u32 [R] -> f32 [R].
 * @throws TensorError if the targets do not fit the logits.
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  { labelSmoothing = 0, ignoreIndex = -1 }: CrossEntropyOptions = {},
): Tensor {
  const [R, V] = logits.shape as [number, number];
  check(
    'crossEntropy',
    logits.rank === 2 && sameShape(targets.shape, [R]) && targets.dtype === 'u32',
    () => `logits must be [R, V] and targets u32 [R], got [${logits.shape}] and ${targets.dtype} [${targets.shape}].`,
  );
  const x = contiguous(logits);
  const labels = contiguous(targets);
  const { loss, lse, uniforms } = crossEntropyRows(x, labels, { labelSmoothing, ignoreIndex });
  return record('crossEntropy', loss, [x], (dloss) => {
    const vector = V % 4 === 0;
    const dx = empty(x.shape, vector ? x.dtype : singleType(x), x.storage.device);
    const tensors = { x, targets: labels, lse, dloss: contiguous(dloss), dx };
    launch(crossEntropyGradientKernel, {
      spec: { type: floatStorageOf(x), result: floatStorageOf(dx), vector },
      tensors,
      uniforms,
      grid: foldGrid(Math.ceil((R * uniforms.steps) / 256)),
    });
    return [dx];
  });
}

/** Lanes that share a row of so many steps: a subgroup, or a workgroup through its memory. */
function rowLanes({ profile, plainKernels }: Device, steps: number): RowLanes {
  const subgroup = plainKernels ? 0 : profile.subgroupSize;
  if (subgroup > 1) return { group: subgroup, lanes: subgroup, shuffles: true };
  const lanes = steps < 64 ? 1 : 64;
  return { group: 64, lanes, shuffles: false };
}

export interface CrossEntropyRowsOptions extends Required<CrossEntropyOptions> {
  /** Overwrites the logits by the gradient of this times the sum of all costs. */
  readonly slope?: number;
}

/** What cross-entropy gives of each row: f32 [R] each, and the numbers that its gradient kernel wants. */
interface CrossEntropyRows {
  readonly loss: Tensor;
  readonly lse: Tensor;
  /** 1 where no class is likelier than the target, and no earlier one as likely. */
  readonly hits: Tensor;
  readonly uniforms: Readonly<Record<'rows' | 'width' | 'steps' | 'smoothing' | 'ignored', number>>;
}

/** Cost, log-sum-exp and hit of each row of packed logits; not recorded. */
export function crossEntropyRows(
  x: Tensor,
  targets: Tensor,
  { labelSmoothing, ignoreIndex, slope }: CrossEntropyRowsOptions,
): CrossEntropyRows {
  const [R, V] = x.shape as [number, number];
  const { device } = x.storage;
  const vector = V % 4 === 0;
  const steps = vector ? V / 4 : V;
  const lanes = rowLanes(device, steps);
  const [loss, lse, hits] = [empty([R], 'f32', device), empty([R], 'f32', device), empty([R], 'f32', device)];
  const uniforms = { rows: R, width: V, steps, smoothing: labelSmoothing, ignored: ignoreIndex };
  launch(crossEntropyKernel, {
    spec: { type: floatStorageOf(x), vector, inPlace: slope !== undefined, ...lanes } as const,
    tensors: { x, targets, loss, lse, hits },
    uniforms: { ...uniforms, slope: slope ?? 0 },
    grid: foldGrid(Math.ceil((R * lanes.lanes) / lanes.group)),
  });
  return { loss, lse, hits, uniforms };
}
