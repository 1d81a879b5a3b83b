import { record } from '../autograd/record.ts';
import { floatType } from '../dtype.ts';
import { check } from '../errors.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { crossEntropyGradientKernel, crossEntropyKernel, softmaxKernel } from '../kernels/softmax.wgsl.ts';
import { rowsOf, sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { exp, mul, sub } from './elementwise.ts';
import { launch } from './launch.ts';
import { sum } from './reduce.ts';
import { contiguous } from './view.ts';

/** Invocations that share a row of this width. */
const lanesFor = (width: number): number => (width < 64 ? 1 : width < 512 ? 8 : 64);

function normalise(x: Tensor, log: boolean): Tensor {
  const { R, C } = rowsOf(x.shape);
  const lanes = lanesFor(C);
  const y = empty(x.shape, x.dtype, x.storage.device);
  launch(softmaxKernel, {
    spec: { type: floatType(x.dtype), log, lanes },
    tensors: { x: contiguous(x), y },
    uniforms: { rows: R, width: C },
    grid: foldGrid(Math.ceil((R * lanes) / 64)),
  });
  return y;
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
  const lanes = lanesFor(V);
  const x = contiguous(logits);
  const labels = contiguous(targets);
  const [loss, lse] = [empty([R], 'f32', x.storage.device), empty([R], 'f32', x.storage.device)];
  const uniforms = { rows: R, width: V, smoothing: labelSmoothing, ignored: ignoreIndex };
  const spec = { type: floatType(x.dtype), lanes } as const;
  launch(crossEntropyKernel, {
    spec,
    tensors: { x, targets: labels, loss, lse },
    uniforms,
    grid: foldGrid(Math.ceil((R * lanes) / 64)),
  });
  return record('crossEntropy', loss, [x], (dloss) => {
    const dx = empty(x.shape, x.dtype, x.storage.device);
    const tensors = { x, targets: labels, lse, dloss: contiguous(dloss), dx };
    launch(crossEntropyGradientKernel, {
      spec: { ...spec, lanes: 1 },
      tensors,
      uniforms,
      grid: foldGrid(Math.ceil((R * V) / 256)),
    });
    return [dx];
  });
}
