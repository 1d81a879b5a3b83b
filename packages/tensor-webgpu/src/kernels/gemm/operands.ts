import { elementAt, elementType, type FloatStorage, valuesOf } from '../storage.ts';
import { type GemmSpec, lanesOf, range, type SourceA } from './spec.ts';

/** WGSL: `width` neighbours, whole, from an element index that is a multiple of the width. */
export function wholeLoad(buffer: string, storage: FloatStorage, width: number, index: string): string {
  const item = `${buffer}[${width === 1 ? index : `(${index}) / ${width}u`}]`;
  if (storage !== 'packed') return `${valuesOf(width)}(${item})`;
  return width === 4 ? `unpack4(${item})` : `unpack2x16float(${item})`;
}

interface RowLoader {
  /** Name of the WGSL function. */
  readonly name: string;
  readonly buffer: string;
  readonly storage: FloatStorage;
  /** Neighbours that it returns. */
  readonly width: number;
  /** Rows divide into whole loads. */
  readonly whole: boolean;
}

/** Neighbours of a row-major matrix, zero beyond `limit` along the row: (row, column, stride, limit, base) -> values. */
export function rowLoader({ name, buffer, storage, width, whole }: RowLoader): string {
  const head = `fn ${name}(row: u32, column: u32, stride: u32, limit: u32, base: u32) -> ${valuesOf(width)}`;
  const start = 'base + row * stride';
  if (whole) return `${head} { return ${wholeLoad(buffer, storage, width, `${start} + column`)}; }`;
  if (storage === 'packed' && width === 4) return unalignedLoader(head, buffer);
  const item = (j: number): string =>
    `select(0.0, ${elementAt(storage, buffer, `(${start} + min(column + ${j}u, limit - 1u))`)}, column + ${j}u < limit)`;
  return `${head} { return ${valuesOf(width)}(${range(width).map(item).join(', ')}); }`;
}

/** Four halves from any index: three words, shifted by half a word where the run starts in the middle of one. */
const unalignedLoader = (head: string, buffer: string): string => `${head} {
  let first = base + row * stride + min(column, limit - 1u); let last = (base + row * stride + limit - 1u) / 2u;
  let w0 = ${buffer}[first / 2u]; let w1 = ${buffer}[min(first / 2u + 1u, last)]; let w2 = ${buffer}[min(first / 2u + 2u, last)];
  let words = select(vec2<u32>(w0, w1), vec2<u32>((w0 >> 16u) | (w1 << 16u), (w1 >> 16u) | (w2 << 16u)), (first & 1u) == 1u);
  let live = vec4<u32>(column, column + 1u, column + 2u, column + 3u) < vec4<u32>(limit);
  return select(vec4<f32>(0.0), unpack4(words), live);
}`;

/** WGSL: index of the picture's element for a pixel and a column (tap, channel) of the window matrix, or -1 outside the picture. `base` is the corner. */
const windowIndex = ({ sourceA }: GemmSpec): string => `fn window_index(pixel: u32, column: u32, base: u32) -> i32 {
  let px = i32(pixel % u.outWidth); let py = i32((pixel / u.outWidth) % u.outHeight); let image = pixel / (u.outWidth * u.outHeight);
  let tap = column / u.channels; let ky = i32(tap / u.kernelWidth); let kx = i32(tap % u.kernelWidth);
  ${
    sourceA === 'input'
      ? `let sy = py + i32(u.padTop) - ky; let sx = px + i32(u.padLeft) - kx; let y = sy / i32(u.stride); let x = sx / i32(u.stride);
  if (sy < 0 || sx < 0 || y * i32(u.stride) != sy || x * i32(u.stride) != sx) { return -1; }`
      : `let y = ${placeOf(sourceA, 'y', { pixel: '', base: 'base' })}; let x = ${placeOf(sourceA, 'x', { pixel: '', base: 'base' })};`
  }
  if (y < 0 || x < 0 || y >= i32(u.inHeight) || x >= i32(u.inWidth)) { return -1; }
  return i32(((image * u.inHeight + u32(y)) * u.inWidth + u32(x)) * u.channels + column % u.channels);
}`;

/** WGSL: row or column that a tap of an output pixel reads, before it is known to lie in the picture. */
export function placeOf(sourceA: SourceA, axis: 'x' | 'y', { pixel, base }: Record<'pixel' | 'base', string>): string {
  const [pad, corner] = axis === 'y' ? ['u.padTop', `${base} / 2u`] : ['u.padLeft', `${base} % 2u`];
  return `p${axis}${pixel} * i32(u.stride) + k${axis} - i32(${pad})${sourceA === 'corner' ? ` + i32(${corner})` : ''}`;
}

/** True if A is a picture seen through a window. */
export const isWindow = ({ sourceA }: Pick<GemmSpec, 'sourceA'>): boolean =>
  sourceA === 'forward' || sourceA === 'corner' || sourceA === 'input' || sourceA === 'weight';

/**
 * WGSL: `block_a(row, k, base)` and `block_b(column, k, base)`, 4x4 blocks as matrices whose vector j holds four rows (columns) at k + j.
 * Zero where k passes K; rows and columns beyond the edge hold anything finite.
 */
export const blockLoaders = (spec: GemmSpec): string => [blockA(spec), blockB(spec)].join('\n');

function blockA(spec: GemmSpec): string {
  const { sourceA, storageA, widthA } = spec;
  const head = 'fn block_a(row: u32, k: u32, base: u32) -> mat4x4<f32>';
  if (!isWindow(spec)) {
    const loader = rowLoader({ name: 'load_a', buffer: 'a_data', storage: storageA, width: 4, whole: widthA === 4 });
    const sides = sourceA === 'rows' ? { across: 'u.M', along: 'u.K' } : { across: 'u.K', along: 'u.M' };
    return `${loader}\n${matrixBlock({ head, name: 'load_a', item: 'row', alongK: sourceA === 'rows', whole: widthA === 4, ...sides })}`;
  }
  const vector = `fn window_a(pixel: u32, column: u32, live: bool, base: u32) -> vec4<f32> {
  let at = window_index(pixel, column, base);
  if (at < 0 || !live) { return vec4<f32>(0.0); }
  return ${wholeLoad('a_data', storageA, 4, 'u32(at)')};
}`;
  const body =
    sourceA === 'weight'
      ? `mat4x4<f32>(${range(4).map((j) => `window_a(min(k + ${j}u, u.K - 1u), min(row, u.M - 4u), k + ${j}u < u.K, base)`)})`
      : `transpose(mat4x4<f32>(${range(4).map((j) => `window_a(min(row + ${j}u, u.M - 1u), min(k, u.K - 4u), k < u.K, base)`)}))`;
  return `${windowIndex(spec)}\n${vector}\n${head} { return ${body}; }`;
}

function blockB({ sourceB, storageB, widthB }: GemmSpec): string {
  const whole = widthB === 4;
  const loader = rowLoader({ name: 'load_b', buffer: 'b_data', storage: storageB, width: 4, whole });
  const sides = sourceB === 'columns' ? { across: 'u.N', along: 'u.K' } : { across: 'u.K', along: 'u.N' };
  const head = 'fn block_b(column: u32, k: u32, base: u32) -> mat4x4<f32>';
  return `${loader}\n${matrixBlock({ head, name: 'load_b', item: 'column', alongK: sourceB === 'columns', whole, ...sides })}`;
}

interface MatrixBlock {
  readonly head: string;
  readonly name: string;
  /** The block's coordinate besides k. */
  readonly item: string;
  /** Rows of the stored matrix run along k. */
  readonly alongK: boolean;
  readonly whole: boolean;
  /** Sides of the stored matrix: its rows, and the length of a row. */
  readonly across: string;
  readonly along: string;
}

/** Four row loads of a stored matrix, turned so that vectors hold neighbours across k. */
function matrixBlock({ head, name, item, alongK, whole, across, along }: MatrixBlock): string {
  const column = alongK ? 'k' : item;
  const inside = whole ? `min(${column}, ${along} - 4u)` : column;
  const load = (j: number): string => {
    const row = alongK ? `${item} + ${j}u` : `k + ${j}u`;
    const values = `${name}(min(${row}, ${across} - 1u), ${inside}, ${along}, ${along}, base)`;
    return `select(vec4<f32>(0.0), ${values}, ${alongK ? 'k' : `k + ${j}u`} < u.K)`;
  };
  const block = `mat4x4<f32>(${range(4).map(load).join(', ')})`;
  return `${head} { return ${alongK ? `transpose(${block})` : block}; }`;
}

/** WGSL statements: one value or several, guarded one by one at the matrix's edge. */
export function storeStatement(
  buffer: string,
  { storage, width, whole, value }: { storage: FloatStorage; width: number; whole: boolean; value: string },
): string {
  if (!whole) {
    const part = (j: number): string => (width > 1 ? `${value}.${lanesOf[j]}` : value);
    const one = (j: number): string =>
      `if (column + ${j}u < u.N) { ${buffer}[index + ${j}u] = ${storage}(${part(j)}); }`;
    return range(width).map(one).join(' ');
  }
  const at = width === 1 ? 'index' : `index / ${width}u`;
  if (storage !== 'packed') return `${buffer}[${at}] = ${elementType(storage, width)}(${value});`;
  return width === 4 ? `${buffer}[${at}] = pack4(${value});` : `${buffer}[${at}] = pack2(${value});`;
}
