import { record, wantsGrad } from '../autograd/record.ts';
import type { Device } from '../device/device.ts';
import { check } from '../errors.ts';
import {
  attentionDeltaKernel,
  attentionGradientKernel,
  attentionKeyGradientKernel,
  attentionQueryGradientKernel,
} from '../kernels/attention-gradient.wgsl.ts';
import { attentionRows, type AttentionSpec } from '../kernels/attention-tiles.ts';
import { attentionKernel } from '../kernels/attention.wgsl.ts';
import { sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { attendByParts, type Attended } from './attention-parts.ts';
import { cast } from './cast.ts';
import { canBind, floatStorageOf, launch } from './launch.ts';
import { sharedLanes } from './matmul.ts';
import { isBindable } from './parts.ts';
import { toOperand } from './precision.ts';
import { contiguous } from './view.ts';

/** What `attention` scales and masks by. */
export interface AttentionOptions {
  /** Factor of the scores, 1/sqrt(d) by habit. */
  readonly scale: number;
  /** u32 [Lq], not falling: query i sees the keys before limits[i]. Causal masks of any block structure are of this form. */
  readonly limits?: Tensor;
  /**
   * u32 [Lq, 2], instead of limits: query i sees the keys from ranges[i, 0] on and before ranges[i, 1], and key 0 besides.
   * Neither bound falls from row to row, but row 0 may end anywhere. Segments that share one leading token are of this form.
   */
  readonly ranges?: Tensor;
  /** u32 or bool [B, Lk]: keys marked 0 are not seen. */
  readonly keyMask?: Tensor;
}

/** Lengths from which taller tiles pay: more rows share what a tile loads of the other side. */
const tallFrom = 128;
const tileRows = (length: number): number => (length >= tallFrom ? 16 : 8);

/** Heads of a batch from which one subgroup a head is enough work for the adapters with small subgroups, which are CPUs. */
const jointFrom = 8;

/** Widest head of the shared kernels: its accumulators must stay in registers. */
const widestShared = 128;

/**
 * softmax(scale q k^T) v per head, over visible keys; a query that sees none gives 0. Never builds an Lq x Lk matrix.
 * q: [B, Lq, N, d], k, v: [B, Lk, N, d], d a multiple of 4 -> [B, Lq, N, d]. Keys and values may be the first rows of a cache.
 * @throws TensorError if shapes, limits, ranges or mask do not fit.
 */
export function attention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  const [q, k, v] = [toOperand(query), toOperand(key), toOperand(value)];
  checkInputs(q, k, v, options);
  if ([q, k, v].every(isBindable)) return attend({ q, k, v }, options).o;
  return attendByParts({ q, k, v }, options, attend);
}

/** Attention over tensors that can be bound. */
function attend({ q, k, v }: Readonly<Record<'q' | 'k' | 'v', Tensor>>, options: AttentionOptions): Attended {
  const { scale, limits, ranges, keyMask } = options;
  const keyRows = cachedRows(q, k, v);
  const inputs = keyRows ? { q: contiguous(q), k, v } : { q: contiguous(q), k: contiguous(k), v: contiguous(v) };
  const [B, Lq, N, d] = q.shape as [number, number, number, number];
  const Lk = k.shape[1]!;
  const shared = sharedLanes(q.storage.device);
  const lanes = shared && d % (4 * shared) === 0 && d <= widestShared ? shared : 0;
  const spec: AttentionSpec = {
    type: floatStorageOf(q),
    lanes,
    rows: lanes && tileRows(Lq),
    width: d,
    limits: ranges ? 'ranges' : limits ? 'ends' : 'none',
    mask: keyMask !== undefined,
  };
  const uniforms = { heads: N, queries: Lq, keys: Lk, keyRows: keyRows ?? Lk, scale };
  const grid = [Math.ceil(Lq / attentionRows(spec)), N, B] as const;
  const table = ranges ?? limits;
  const tables = { ...(table && { limits: table }), ...(keyMask && { mask: keyMask }) };
  const operands = { q_data: inputs.q, k_data: inputs.k, v_data: inputs.v };
  const o = empty(q.shape, q.dtype, q.storage.device);
  const lse = empty([B, N, Lq], 'f32', q.storage.device);
  launch(attentionKernel, { spec, tensors: { ...operands, ...tables, o_data: o, lse }, uniforms, grid });
  const saved = { ...operands, ...tables, lse };
  record('attention', o, [inputs.q, inputs.k, inputs.v], (dy) =>
    gradients(contiguous(dy), { spec, uniforms, saved, o }),
  );
  return { o, lse };
}

/** What the way back knows of the way forward. */
interface Forward {
  readonly spec: AttentionSpec;
  readonly uniforms: Readonly<Record<'heads' | 'queries' | 'keys' | 'keyRows' | 'scale', number>>;
  readonly saved: Readonly<Record<'q_data' | 'k_data' | 'v_data' | 'lse', Tensor>>;
  readonly o: Tensor;
}

/** With p = softmax(s): dv = p^T do, ds = p (do v^T - rowsum(do o)), dq = scale ds k, dk = scale ds^T q. */
function gradients(dy: Tensor, { spec, uniforms, saved, o }: Forward): [Tensor, Tensor, Tensor] {
  const { q_data: q, k_data: k, v_data: v } = saved;
  const [B, Lq, N] = q.shape as [number, number, number];
  const Lk = k.shape[1]!;
  const { device } = q.storage;
  const moments = empty([B, N, Lq, 2], 'f32');
  launch(attentionDeltaKernel, {
    spec,
    tensors: { o_data: o, do_data: dy, lse: saved.lse, moments },
    uniforms,
    grid: [Math.ceil(Lq / 64), N, B],
  });
  const tensors = { ...saved, do_data: dy, moments };
  const [dk_data, dv_data] = [empty(k.shape, k.dtype), empty(v.shape, v.dtype)];
  if (takesAllAtOnce(spec, B * N, device)) {
    const dq_data = empty(q.shape, 'f32');
    const joint = { ...spec, rows: tileRows(Lk) };
    const written = { dq_data, dk_data, dv_data };
    launch(attentionGradientKernel, { spec: joint, tensors: { ...tensors, ...written }, uniforms, grid: [1, N, B] });
    return [cast(dq_data, q.dtype), dk_data, dv_data];
  }
  const dq_data = empty(q.shape, q.dtype);
  const keySpec = { ...spec, rows: spec.lanes && tileRows(Lk), writes: 'keys and values' } as const;
  const keySpecs = canBind(attentionKeyGradientKernel, keySpec, device)
    ? [keySpec]
    : (['keys', 'values'] as const).map((writes) => ({ ...keySpec, writes }));
  const queryGrid = [Math.ceil(Lq / attentionRows(spec)), N, B] as const;
  const keyGrid = [Math.ceil(Lk / attentionRows(keySpec)), N, B] as const;
  launch(attentionQueryGradientKernel, { spec, tensors: { ...tensors, dq_data }, uniforms, grid: queryGrid });
  for (const each of keySpecs)
    launch(attentionKeyGradientKernel, {
      spec: each,
      tensors: { ...tensors, dk_data, dv_data },
      uniforms,
      grid: keyGrid,
    });
  return [dq_data, dk_data, dv_data];
}

/** Whether one subgroup for each head keeps the adapter busy: then scores are worked out once instead of twice. */
const takesAllAtOnce = (spec: AttentionSpec, heads: number, device: Device): boolean =>
  spec.lanes > 0 && heads >= jointFrom && canBind(attentionGradientKernel, spec, device);

/** Rows that each batch element has in the memory of keys and values, where they are the start of a longer cache and take no gradient. */
function cachedRows(q: Tensor, k: Tensor, v: Tensor): number | undefined {
  if ([q, k, v].some(wantsGrad) || k.isPacked || k.offset !== 0 || v.offset !== 0) return undefined;
  const [, , N, d] = k.shape as [number, number, number, number];
  const rows = k.strides[0]! / (N * d);
  const expected = [rows * N * d, N * d, d, 1];
  const fits = [k, v].every(({ strides }) => strides.every((stride, axis) => stride === expected[axis]));
  return fits && Number.isInteger(rows) && rows >= k.shape[1]! ? rows : undefined;
}

function checkInputs(q: Tensor, k: Tensor, v: Tensor, { limits, ranges, keyMask }: AttentionOptions): void {
  const [B, Lq, N, d] = q.shape;
  check(
    'attention',
    q.rank === 4 && d! % 4 === 0,
    () => `queries must be [B, Lq, N, d] with d a multiple of 4, got [${q.shape}].`,
  );
  check(
    'attention',
    k.rank === 4 && k.shape[0] === B && k.shape[2] === N && k.shape[3] === d,
    () => `keys must be [${B}, Lk, ${N}, ${d}], got [${k.shape}].`,
  );
  check(
    'attention',
    sameShape(k.shape, v.shape),
    () => `values must have the keys' shape [${k.shape}], got [${v.shape}].`,
  );
  check(
    'attention',
    q.dtype === k.dtype && k.dtype === v.dtype,
    () => `operands must share a dtype, got ${q.dtype}, ${k.dtype}, ${v.dtype}. Cast them.`,
  );
  check(
    'attention',
    !limits || (sameShape(limits.shape, [Lq!]) && limits.dtype === 'u32'),
    () => `limits must be u32 [${Lq}], got ${limits?.dtype} [${limits?.shape}].`,
  );
  check(
    'attention',
    !ranges || (sameShape(ranges.shape, [Lq!, 2]) && ranges.dtype === 'u32' && ranges.isPacked && !limits),
    () => `ranges must be packed u32 [${Lq}, 2] and come without limits, got ${ranges?.dtype} [${ranges?.shape}].`,
  );
  const maskFits =
    !keyMask ||
    (sameShape(keyMask.shape, [B!, k.shape[1]!]) &&
      (keyMask.dtype === 'u32' || keyMask.dtype === 'bool') &&
      keyMask.isPacked);
  check(
    'attention',
    maskFits,
    () => `keyMask must be packed u32 or bool [${B}, ${k.shape[1]}], got ${keyMask?.dtype} [${keyMask?.shape}].`,
  );
}
