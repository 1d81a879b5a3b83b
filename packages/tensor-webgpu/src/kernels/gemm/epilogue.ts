import { elementAt, valuesOf } from '../storage.ts';
import { rowLoader, storeStatement, wholeLoad } from './operands.ts';
import { type Activation, type GemmSpec, range } from './spec.ts';

/** Activations as WGSL over `v` of type `values`. */
const activations: Record<Activation, string> = {
  none: 'v',
  relu: 'max(v, values(0.0))',
  gelu: '0.5 * v * (1.0 + tanh(clamp(0.7978845608028654 * (v + 0.044715 * v * v * v), values(-10.0), values(10.0))))',
  silu: 'v / (1.0 + exp(-v))',
};

/** WGSL: the bias of `width` columns. */
export const biasOf = ({ storageExtra }: GemmSpec, width: number): string =>
  `values(${range(width)
    .map((j) => elementAt(storageExtra, 'bias_data', `(min(column + ${j}u, u.N - 1u))`))
    .join(', ')})`;

/** WGSL functions over `width` neighbours of a row: `finish(row, column, index, v)`, the value to store from sums that hold their bias. */
export function finishFunction(spec: GemmSpec, width: number): string {
  const { activation, gate, residual, accumulate, storageExtra, storageC, widthC } = spec;
  const whole = widthC === width && (width > 1 || storageExtra !== 'packed');
  const loaders = ['gate', 'residual']
    .filter((name) => spec[name])
    .map((name) => rowLoader({ name: `load_${name}`, buffer: `${name}_data`, storage: storageExtra, width, whole }));
  const steps = [
    ...(gate ? ['y *= load_gate(row / u.gateRows, column, u.N, u.N, 0u);'] : []),
    ...(residual ? ['y += load_residual(0u, column, u.N, u.N, index - column);'] : []),
    ...(accumulate ? [`y += ${before(width, widthC === width, storageC)};`] : []),
  ];
  return `alias values = ${valuesOf(width)};
${loaders.join('\n')}
fn finish(row: u32, column: u32, index: u32, v: values) -> values {
  var y = ${activations[activation]};
  ${steps.join('\n  ')}
  return y;
}`;
}

/** WGSL: what C holds already. */
function before(width: number, whole: boolean, storage: GemmSpec['storageC']): string {
  if (whole && width > 1) return wholeLoad('c_data', storage, width, 'index');
  const items = range(width).map((j) => elementAt(storage, 'c_data', `(index + min(${j}u, u.N - 1u - column))`));
  return `values(${items.join(', ')})`;
}

/** WGSL: the pixel of a picture of twice the sides that a corner of a pixel is. */
const doubledRow = `fn doubled_row(pixel: u32, corner: u32) -> u32 {
  let line = pixel / u.outWidth;
  return (2u * line + corner / 2u) * 2u * u.outWidth + 2u * (pixel % u.outWidth) + corner % 2u;
}`;

/** WGSL: `store(row, column, base, v)` finishes `width` sums of a tile and stores those that lie inside C. `withBias`: the sums lack their bias. */
export function storeFunction(spec: GemmSpec, width: number, withBias: boolean): string {
  const { storageC, widthC, bias, keep, doubled } = spec;
  const target = { storage: storageC, width, whole: widthC === width && (width > 1 || storageC !== 'packed') };
  return `${finishFunction(spec, width)}
${doubled ? doubledRow : ''}
fn store(row: u32, column: u32, base: u32, sums: values) {
  if (row >= u.M || column >= u.N) { return; }
  let index = ${doubled ? 'doubled_row(row, base) * u.N' : 'base + row * u.N'} + column;
  let z = sums${bias && withBias ? ` + ${biasOf(spec, width)}` : ''};
  ${keep ? storeStatement('kept_data', { ...target, value: 'z' }) : ''}
  let y = finish(row, column, index, z);
  ${storeStatement('c_data', { ...target, value: 'y' })}
}`;
}
