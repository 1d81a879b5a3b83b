import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementAt, elementType, type FloatStorage, storedVector, valuesOf, vectorOf } from './storage.ts';

export type Pooling = 'max' | 'average';

export interface PoolSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** How the kernel's result is stored: packed only by vectors. */
  readonly result: FloatStorage;
  readonly pooling: Pooling;
  /** Channels of one invocation: 4 or 1. */
  readonly width: number;
  /** Averages divide by the whole window, padding included. */
  readonly countPadding: boolean;
}

const uniforms = {
  count: 'u32',
  vectors: 'u32',
  height: 'u32',
  width: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  size: 'u32',
  stride: 'u32',
  padding: 'u32',
} as const;

/** WGSL: a vector of a buffer, or one element. */
const load = ({ type, width }: PoolSpec, buffer: string, index: string): string =>
  width === 4 ? vectorOf(type, `${buffer}[${index}]`) : elementAt(type, buffer, index);

/** WGSL: the same as the result holds it. */
const stored = ({ result, width }: PoolSpec, value: string): string =>
  width === 4 ? storedVector(result, value) : `${result}(${value})`;

/** WGSL: the first and the last input of a window along one axis, as far as they lie inside. */
const window = `fn first_of(out: u32) -> u32 { return u32(max(i32(out * u.stride) - i32(u.padding), 0)); }
fn last_of(out: u32, side: u32) -> u32 { return u32(min(i32(out * u.stride + u.size - 1u) - i32(u.padding), i32(side) - 1)); }`;

/** WGSL: what a window's sum is divided by. */
const divisor = ({ countPadding }: PoolSpec, row: string, column: string): string =>
  countPadding
    ? 'f32(u.size * u.size)'
    : `f32((last_of(${row}, u.height) - first_of(${row}) + 1u) * (last_of(${column}, u.width) - first_of(${column}) + 1u))`;

/** WGSL: where an invocation stands among vectors, columns, rows and pictures of a side. */
const place = (height: string, width: string): string => `let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let channel = i % u.vectors; let column = (i / u.vectors) % ${width};
  let row = (i / (u.vectors * ${width})) % ${height}; let image = i / (u.vectors * ${width} * ${height});`;

const at = (row: string, column: string): string =>
  `((image * u.height + ${row}) * u.width + ${column}) * u.vectors + channel`;

/** y = max or mean of each window.  x: [B, H, W, C] -> y: [B, h, w, C].  One invocation one or four channels of an output pixel. */
export const poolKernel: Kernel<PoolSpec> = defineKernel<PoolSpec>({
  name: 'pool',
  bindings: ({ type, result, width }) => ({
    x: `read ${elementType(type, width)}` as Binding,
    y: `write ${elementType(result, width)}` as Binding,
  }),
  uniforms,
  code: (spec) => {
    const { pooling, width } = spec;
    const [values, isMax] = [valuesOf(width), pooling === 'max'];
    return `${window}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  ${place('u.outHeight', 'u.outWidth')}
  var total = ${values}(${isMax ? '-3.4028234e38' : '0.0'});
  for (var line = first_of(row); line <= last_of(row, u.height); line++) {
    for (var k = first_of(column); k <= last_of(column, u.width); k++) {
      let value = ${load(spec, 'x', at('line', 'k'))};
      total = ${isMax ? 'max(total, value)' : 'total + value'};
    }
  }
  y[i] = ${stored(spec, isMax ? 'total' : `total / ${divisor(spec, 'row', 'column')}`)};
}`;
  },
  examples: [
    { type: 'f32', result: 'f32', pooling: 'max', width: 4, countPadding: false },
    { type: 'f16', result: 'f16', pooling: 'average', width: 1, countPadding: false },
    { type: 'packed', result: 'f32', pooling: 'average', width: 1, countPadding: false },
    { type: 'packed', result: 'packed', pooling: 'average', width: 4, countPadding: true },
  ],
});

/** WGSL: adds the gradient of one window to the input that an invocation stands for; a maximum passes it to its first place. */
function gather(spec: PoolSpec): string {
  const values = valuesOf(spec.width);
  const index = '((image * u.outHeight + line) * u.outWidth + k) * u.vectors + channel';
  if (spec.pooling === 'average') return `total += ${load(spec, 'dy', index)} / ${divisor(spec, 'line', 'k')};`;
  return `let most = ${load(spec, 'y', index)};
      var wins = own == most;
      for (var r = first_of(line); r <= row; r++) {
        let end = select(last_of(k, u.width) + 1u, column, r == row);
        for (var c = first_of(k); c < end; c++) { wins = wins & (${load(spec, 'x', at('r', 'c'))} != most); }
      }
      total += select(${values}(0.0), ${load(spec, 'dy', index)}, wins);`;
}

/** dx = what each window that covers an input hands down to it.  x, dx: [B, H, W, C], y, dy: [B, h, w, C].  One invocation one or four channels of an input pixel. */
export const poolGradientKernel: Kernel<PoolSpec> = defineKernel<PoolSpec>({
  name: 'pool-gradient',
  bindings: ({ type, result, width, pooling }) => {
    const read = `read ${elementType(type, width)}` as Binding;
    return { ...(pooling === 'max' && { x: read, y: read }), dy: read, dx: `write ${elementType(result, width)}` };
  },
  uniforms,
  code: (spec) => {
    const first = (side: string): string =>
      `select((${side} + u.padding - u.size + u.stride) / u.stride, 0u, ${side} + u.padding < u.size)`;
    const last = (side: string, out: string): string => `min((${side} + u.padding) / u.stride, ${out} - 1u)`;
    return `${window}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  ${place('u.height', 'u.width')}
  ${spec.pooling === 'max' ? `let own = ${load(spec, 'x', 'i')};` : ''}
  var total = ${valuesOf(spec.width)}(0.0);
  for (var line = ${first('row')}; line <= ${last('row', 'u.outHeight')}; line++) {
    for (var k = ${first('column')}; k <= ${last('column', 'u.outWidth')}; k++) {
      ${gather(spec)}
    }
  }
  dx[i] = ${stored(spec, 'total')};
}`;
  },
  examples: [
    { type: 'f32', result: 'f32', pooling: 'max', width: 4, countPadding: false },
    { type: 'f16', result: 'f16', pooling: 'max', width: 1, countPadding: false },
    { type: 'packed', result: 'f32', pooling: 'max', width: 1, countPadding: false },
    { type: 'f32', result: 'f32', pooling: 'average', width: 1, countPadding: false },
    { type: 'packed', result: 'packed', pooling: 'average', width: 4, countPadding: true },
  ],
});
