import { isRecorded, recordJoint } from '../autograd/record.ts';
import { check } from '../errors.ts';
import type { Kernel } from '../kernels/define-kernel.ts';
import {
  type HeadPart,
  headsGradientKernel,
  headsKernel,
  type HeadsSpec,
  stripSumsKernel,
} from '../kernels/heads.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { sizeOf } from '../shape.ts';
import { empty, type Tensor, zeros } from '../tensor.ts';
import { cast } from './cast.ts';
import { canBind, floatStorageOf, launch } from './launch.ts';
import { isBindable, partAlong, rowRuns } from './parts.ts';
import { rowLanes } from './row-lanes.ts';
import { contiguous } from './view.ts';

/** How a projection is cut into heads. */
interface HeadsOptions {
  readonly heads: number;
  /** Rotations of every position, (cos, sin) pairs: [L, d/2, 2]. None if absent. */
  readonly rope?: Tensor;
}

/** What `queryHeads` needs of a projection. */
export interface QueryHeadsOptions extends HeadsOptions {
  /** Logarithm of each head's factor, at most ln 100 of it used: as many elements as heads. */
  readonly scale: Tensor;
  /** [C] */
  readonly queryBias: Tensor;
}

/** What `keyValueHeads` needs of a projection. */
export interface KeyValueHeadsOptions extends HeadsOptions {
  /** [C] */
  readonly valueBias: Tensor;
}

/**
 * Queries, keys and values of a packed projection in one pass: queries and keys are turned by their position and brought to unit length,
 * queries multiplied by exp(min(scale, ln 100)), biases added to queries and values first. x: [B, L, 3C] -> [B, L, heads, d] each.
 * @throws TensorError if the options do not fit the projection.
 */
export function queryKeyValueHeads(
  x: Tensor,
  options: QueryHeadsOptions & KeyValueHeadsOptions,
): { query: Tensor; key: Tensor; value: Tensor } {
  const [query, key, value] = split('queryKeyValueHeads', x, ['query', 'key', 'value'], options) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return { query, key, value };
}

/** The same for queries alone. x: [B, L, C] -> [B, L, heads, d]. */
export const queryHeads = (x: Tensor, options: QueryHeadsOptions): Tensor =>
  split('queryHeads', x, ['query'], options)[0]!;

/** The same for keys and values. x: [B, L, 2C] -> [B, L, heads, d] each. */
export function keyValueHeads(x: Tensor, options: KeyValueHeadsOptions): { key: Tensor; value: Tensor } {
  const [key, value] = split('keyValueHeads', x, ['key', 'value'], options) as [Tensor, Tensor];
  return { key, value };
}

type Options = HeadsOptions & Partial<QueryHeadsOptions & KeyValueHeadsOptions>;

/** Rows that one worker of the forward kernel walks, and at least that many in the backward one. */
const forwardStrip = 8;
const backwardStrip = 32;
/** Strips whose sums one invocation adds up. */
const mostStrips = 256;

interface Places {
  readonly uniforms: Readonly<Record<'rows' | 'positions' | 'heads' | 'strips' | 'strip', number>>;
  readonly grid: readonly [number, number];
}

/** Workers for each head of each strip of rows. */
function places(x: Tensor, heads: number, { group, lanes }: HeadsSpec, strip: number): Places {
  const [B, L] = x.shape as [number, number, number];
  const rows = B * L;
  const strips = Math.ceil(rows / strip);
  return {
    uniforms: { rows, positions: L, heads, strips, strip },
    grid: foldGrid(Math.ceil((strips * heads * lanes) / group)),
  };
}

function split(op: string, x: Tensor, parts: readonly HeadPart[], options: Options): Tensor[] {
  const { heads, rope } = options;
  checkHeads(op, x, parts, options);
  const wide = (value: Tensor | undefined): Tensor | undefined => value && cast(value, 'f32');
  const [scale, queryBias, valueBias] = [options.scale, options.queryBias, options.valueBias].map(wide);
  const [B, L, width] = x.shape as [number, number, number];
  const d = width / parts.length / heads;
  const spec: HeadsSpec = {
    type: floatStorageOf(x),
    whole: parts.join(','),
    parts: parts.join(','),
    vectors: d / 4,
    ...rowLanes(x.storage.device, d / 4),
    rope: rope !== undefined,
    bias: true,
    keep: isRecorded([x, scale, queryBias, valueBias].filter((input) => input !== undefined)),
  };
  const fixed = { ...(rope && { table: contiguous(rope) }), ...(scale && { scale: contiguous(scale) }) };
  const biases = { ...(queryBias && { bias_query: queryBias }), ...(valueBias && { bias_value: valueBias }) };
  const outputs = Object.fromEntries(parts.map((part) => [part, empty([B, L, heads, d], x.dtype, x.storage.device)]));
  const factors = spec.keep ? empty([parts.length, B * L, heads], 'f32', x.storage.device) : undefined;
  const source = contiguous(x);
  for (const cut of headCuts(op, [source, ...Object.values(outputs)], fixed.table)) {
    const own = cut.rows(source);
    const written = Object.fromEntries(parts.map((name) => [name, cut.rows(outputs[name]!)]));
    const table = fixed.table && { table: cut.table(fixed.table) };
    const tensors = { x: own, ...fixed, ...table, ...biases, ...written, ...(factors && { factors }) };
    for (const each of bindableSpecs(headsKernel, spec, own))
      launch(headsKernel, { spec: each, tensors, ...places(own, heads, spec, forwardStrip) });
  }
  const all = parts.map((part) => outputs[part]!);
  if (!factors) return all;
  const taken = {
    ...(queryBias && { query: queryBias }),
    ...(valueBias && { value: valueBias }),
    ...(scale && { scale }),
  };
  recordJoint(op, all, [x, ...Object.values(taken)], (dys) => {
    const slopes = dys.map((dy, i) => contiguous(dy ?? zeros(all[i]!.shape, { dtype: x.dtype })));
    const upstream = Object.fromEntries(parts.map((part, i) => [`d_${part}`, slopes[i]!]));
    return gradients(x, { spec, saved: { ...outputs, ...upstream, factors, ...fixed }, taken, heads });
  });
  return all;
}

/** All parts at once, or one by one where the device grants fewer buffers than that takes. */
function bindableSpecs(kernel: Kernel<HeadsSpec>, spec: HeadsSpec, { storage }: Tensor): readonly HeadsSpec[] {
  if (canBind(kernel, spec, storage.device)) return [spec];
  return spec.parts.split(',').map((parts) => ({ ...spec, parts }));
}

/** Cuts what lies by batch and position, [B, L, ...], and what lies by position, [L, ...]. */
interface Cut {
  readonly rows: (x: Tensor) => Tensor;
  readonly table: (x: Tensor) => Tensor;
}

const uncut: Cut = { rows: (x) => x, table: (x) => x };

/** Cuts after which tensors can be bound: none, or runs of positions of one batch element after the other. */
function headCuts(op: string, rows: readonly Tensor[], table: Tensor | undefined): readonly Cut[] {
  const tables = table ? [table] : [];
  if ([...rows, ...tables].every(isBindable)) return [uncut];
  const [B, L] = rows[0]!.shape as [number, number];
  const ofBatch = (x: Tensor, b: number): Tensor => started(op, partAlong(x, 0, [b, b + 1]));
  const runs = rowRuns(op, L, [...rows.map((x) => ofBatch(x, 0)), ...tables]);
  return Array.from({ length: B }, (_, b) => b).flatMap((b) =>
    runs.map((run) => ({
      rows: (x: Tensor) => started(op, partAlong(ofBatch(x, b), 1, run)),
      table: (x: Tensor) => partAlong(x, 0, run),
    })),
  );
}

/** A part that begins where a binding may. */
function started(op: string, x: Tensor): Tensor {
  check(
    op,
    x.offset === 0,
    () => `parts of [${x.shape}] ${x.dtype} must begin at whole bindings to be bound one by one. Draw fewer at once.`,
  );
  return x;
}

interface Backwards {
  readonly spec: HeadsSpec;
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Biases and scale, whose gradients are sums over rows. */
  readonly taken: Readonly<Record<string, Tensor>>;
  readonly heads: number;
}

/** Gradients of x, then of the biases and the scale: strips are summed in their order by a second kernel. */
function gradients(x: Tensor, { spec, saved, taken, heads }: Backwards): Tensor[] {
  const strip = Math.max(backwardStrip, Math.ceil((x.shape[0]! * x.shape[1]!) / mostStrips));
  const { uniforms, grid } = places(x, heads, spec, strip);
  const { device } = x.storage;
  const dx = empty(x.shape, x.dtype, device);
  const names = Object.keys(taken);
  const sums = names.map((name) => empty([uniforms.strips, taken[name]!.size], 'f32', device));
  const bound = names.map((name, i) => [name === 'scale' ? 'slopes' : `sums_${name}`, sums[i]!] as const);
  const tensors = { ...saved, ...Object.fromEntries(bound), dx };
  for (const each of bindableSpecs(headsGradientKernel, spec, x))
    launch(headsGradientKernel, { spec: each, tensors, uniforms, grid });
  const results = names.map((name) => empty(taken[name]!.shape, taken[name]!.dtype, device));
  const widths = [0, 1, 2].map((i) => results[i]?.size ?? 0);
  launch(stripSumsKernel, {
    spec: { names: names.join(',') },
    tensors: Object.fromEntries(
      names.flatMap((name, i) => [
        [`x_${name}`, sums[i]!],
        [`y_${name}`, results[i]!],
      ]),
    ),
    uniforms: { strips: uniforms.strips, width0: widths[0]!, width1: widths[1]!, width2: widths[2]! },
    grid: foldGrid(Math.ceil(widths.reduce((a, b) => a + b) / 64)),
  });
  return [dx, ...results];
}

function checkHeads(op: string, x: Tensor, parts: readonly HeadPart[], options: Options): void {
  const { heads, rope, scale, queryBias, valueBias } = options;
  const n = parts.length;
  const [, L, width] = x.shape as [number, number, number];
  const fits = x.rank === 3 && width % (4 * n * heads) === 0;
  check(op, fits, () => `input must be [B, L, ${n} x ${heads} heads x d] with d a multiple of 4, got [${x.shape}].`);
  const C = width / n;
  const wanted = { rope: [L, C / heads / 2, 2], queryBias: [C], valueBias: [C] };
  for (const [name, value] of Object.entries({ rope, queryBias, valueBias })) {
    const shape = wanted[name as keyof typeof wanted];
    const size = sizeOf(shape);
    check(op, !value || value.size === size, () => `${name} must be [${shape}], got [${value?.shape}].`);
  }
  check(op, !scale || scale.size === heads, () => `scale must have ${heads} elements, got [${scale?.shape}].`);
}
