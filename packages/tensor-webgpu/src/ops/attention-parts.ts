import { wantsGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import type { AttentionOptions } from './attention.ts';
import { cast } from './cast.ts';
import { add, exp, log, maximum, mul, sub } from './elementwise.ts';
import { isBindable, partAlong, rowRuns, type Run } from './parts.ts';
import { clone, concat, contiguous, permute, reshape, slice } from './view.ts';

/** What attention over some keys gives: o [B, Lq, N, d], and the logarithm of the sum of its weights [B, N, Lq]. */
export interface Attended {
  readonly o: Tensor;
  readonly lse: Tensor;
}

interface Inputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

type Attend = (inputs: Inputs, options: AttentionOptions) => Attended;

/** Attention whose tensors are too large to bind: element by element of the batch, then by runs of queries, then by runs of keys. */
export function attendByParts(inputs: Inputs, options: AttentionOptions, attend: Attend): Tensor {
  const { q, k, v } = inputs;
  const B = q.shape[0]!;
  if (B > 1) {
    const each = Array.from({ length: B }, (_, b): Tensor => {
      const run: Run = [b, b + 1];
      const keyMask = options.keyMask && contiguous(slice(options.keyMask, 0, ...run));
      return attendByParts(cutAll(inputs, 0, run), { ...options, ...(keyMask && { keyMask }) }, attend);
    });
    return concat(each, 0);
  }
  if (!isBindable(q)) return byQueries(inputs, options, attend);
  return isBindable(k) && isBindable(v) ? attend(inputs, options).o : byKeys(inputs, options, attend);
}

/** A run along an axis of each: a part of memory, or a recorded slice where gradients are wanted. */
function cutAll({ q, k, v }: Inputs, axis: number, run: Run): Inputs {
  const recorded = [q, k, v].some(wantsGrad);
  const cut = (x: Tensor): Tensor => (recorded ? clone(slice(x, axis, ...run)) : aligned(partAlong(x, axis, run)));
  return { q: cut(q), k: cut(k), v: cut(v) };
}

/** The part as kernels take it: from its first byte on, else copied. */
const aligned = (x: Tensor): Tensor => (x.offset === 0 ? x : contiguous(x));

function byQueries({ q, k, v }: Inputs, options: AttentionOptions, attend: Attend): Tensor {
  const { limits, ranges } = options;
  const runs = rowRuns('attention', q.shape[1]!, [contiguous(q)]);
  const each = runs.map((run) => {
    const tables = {
      ...(limits && { limits: contiguous(slice(limits, 0, ...run)) }),
      ...(ranges && { ranges: contiguous(slice(ranges, 0, ...run)) }),
    };
    const own = wantsGrad(q) ? clone(slice(q, 1, ...run)) : aligned(partAlong(q, 1, run));
    return attendByParts({ q: own, k, v }, { ...options, ...tables }, attend);
  });
  return concat(each, 1);
}

/** o = sum over runs of keys of exp(lse_run - lse) o_run, with lse = log(sum exp(lse_run)). */
function byKeys({ q, k, v }: Inputs, options: AttentionOptions, attend: Attend): Tensor {
  check(
    'attention',
    !options.limits && !options.ranges && !options.keyMask && ![q, k, v].some(wantsGrad),
    () =>
      `keys of one batch element must fit one binding of ${k.storage.device.largestBindingBytes} bytes where they are masked or take gradients, got [${k.shape}] ${k.dtype}. Use f16.`,
  );
  const [, Lk, N, d] = k.shape as [number, number, number, number];
  const runs = rowRuns(
    'attention',
    Lk,
    [k, v].map((x) => x.view([Lk, N * d], [x.strides[1]!, 1], x.offset)),
  );
  const parts = runs.map((run) => {
    const { o, lse } = attend({ q, k: aligned(partAlong(k, 1, run)), v: aligned(partAlong(v, 1, run)) }, options);
    return { o: cast(o, 'f32'), lse };
  });
  return cast(parts.reduce(joined).o, q.dtype);
}

function joined(a: Attended, b: Attended): Attended {
  const top = maximum(a.lse, b.lse);
  const lse = add(top, log(add(exp(sub(a.lse, top)), exp(sub(b.lse, top)))));
  const share = (x: Attended): Tensor => mul(x.o, overHeads(exp(sub(x.lse, lse))));
  return { o: add(share(a), share(b)), lse };
}

/** [B, N, Lq] as a factor of [B, Lq, N, d]. */
function overHeads(x: Tensor): Tensor {
  const [B, N, Lq] = x.shape as [number, number, number];
  return reshape(permute(x, [0, 2, 1]), [B, Lq, N, 1]);
}
