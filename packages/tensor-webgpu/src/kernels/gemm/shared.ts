import { biasOf, storeFunction } from './epilogue.ts';
import { isWindow, placeOf, rowLoader, wholeLoad } from './operands.ts';
import { type GemmSpec, lanesOf, prologue, range } from './spec.ts';

export interface SharedTile {
  /** Lanes of the subgroup that shares a tile: 4 or 8. */
  readonly lanes: number;
  /** Rows of a tile: a multiple of the lanes, or fewer where A is thin. */
  readonly rows: number;
  /** Columns that a lane owns, 1 to 4: fewer where the product is narrow, so that no lane works for nothing. */
  readonly columns: number;
}

export type SharedSpec = GemmSpec & SharedTile;

/** Loads of A that a tile's rows take. */
const loadsOf = ({ rows, lanes }: SharedTile): number[] => range(Math.ceil(rows / lanes));

/** One step over 4 of K: B vectors, A vectors (lane = row, part = k), and the multiply-adds of every row. */
function stepRows(spec: SharedSpec, loadA: (group: number) => string): string {
  const { lanes, rows, columns, sourceB } = spec;
  const gather = (part: string): string => `values(${range(columns).map((t) => `t${t}.${part}`)})`;
  const b =
    sourceB === 'columns'
      ? [
          ...range(columns).map((j) => `let t${j} = load_b(min(column + ${j}u, u.N - 1u), k, u.K, u.K, base_b);`),
          ...lanesOf.map((part, j) => `let b${j} = ${gather(part)};`),
        ]
      : range(4).map((j) => `let b${j} = load_b(min(k + ${j}u, u.K - 1u), column_b, u.N, u.N, base_b);`);
  const a = loadsOf(spec).map((g) => `let a${g} = ${loadA(g)};`);
  const products = range(rows).map(
    (r) =>
      `{ let s = subgroupShuffle(a${Math.floor(r / lanes)}, ${r % lanes}u); c${r} += s.x * b0 + s.y * b1 + s.z * b2 + s.w * b3; }`,
  );
  return [...b, ...a, ...products].join('\n    ');
}

/**
 * One step over 4 of K where A is [K, M]: a load holds lanes/4 groups of four rows (part = row), lane = 4 (group in load) + k.
 * Rows of K beyond the end come in as zeros of A.
 */
function stepColumns(spec: SharedSpec, loadA: (load: number) => string): string {
  const a = loadsOf(spec).map((load) => `let a${load} = ${loadA(load)};`);
  return [...a, ...turnsOfStep(spec).map((turn) => addColumns(spec, turn))].join('\n    ');
}

/** The k that are added to a sum at once: all four, so that sums, which outnumber registers, are touched once; with 4 lanes (SwiftShader) values of B run out of them first. */
const turnsOfStep = ({ lanes }: SharedSpec): number[][] => (lanes === 4 ? range(4).map((k) => [k]) : [range(4)]);

/** Values of B at some k of a step, and the multiply-adds of every row with them. */
function addColumns({ lanes, rows }: SharedSpec, turn: readonly number[]): string {
  const perLoad = lanes / 4;
  const b = turn.map((k) => `let b${k} = load_b(min(k + ${k}u, u.K - 1u), column_b, u.N, u.N, base_b);`);
  const products = range(Math.ceil(rows / 4)).map((g) => {
    const lane = (k: number): number => 4 * (g % perLoad) + k;
    const shared = turn.map((k) => `let s${k} = subgroupShuffle(a${Math.floor(g / perLoad)}, ${lane(k)}u);`);
    const sums = lanesOf
      .slice(0, rows - 4 * g)
      .map((part, j) => `c${4 * g + j} += ${turn.map((k) => `s${k}.${part} * b${k}`).join(' + ')};`);
    return `{ ${[...shared, ...sums].join(' ')} }`;
  });
  return `{ ${[...b, ...products].join('\n    ')} }`;
}

function matrixLoop(spec: SharedSpec): string {
  const { lanes, sourceA, widthA } = spec;
  const row = (load: number): string => `row0 + ${load * lanes}u + lane${sourceA === 'rows' ? '' : ' / 4u * 4u'}`;
  const clamped = (load: number): string => (widthA === 4 ? `min(${row(load)}, u.M - 4u)` : row(load));
  const along = (g: number): string => `load_a(min(${row(g)}, u.M - 1u), k, u.K, u.K, base_a)`;
  const across = (load: number): string =>
    `select(vec4<f32>(0.0), load_a(min(k + lane % 4u, u.K - 1u), ${clamped(load)}, u.M, u.M, base_a), k + lane % 4u < u.K)`;
  return `for (var k = k0; k < k1; k += 4u) {
    ${sourceA === 'rows' ? stepRows(spec, along) : stepColumns(spec, across)}
  }`;
}

/** Where a pixel's tap lies in the picture, and whether it lies inside. */
const place = ({ sourceA }: SharedSpec, g: number): string =>
  sourceA === 'forward' || sourceA === 'corner'
    ? `let y${g} = ${placeOf(sourceA, 'y', { pixel: `${g}`, base: 'base_a' })}; let x${g} = ${placeOf(sourceA, 'x', { pixel: `${g}`, base: 'base_a' })};
    let inside${g} = y${g} >= 0 && y${g} < i32(u.inHeight) && x${g} >= 0 && x${g} < i32(u.inWidth);`
    : `let sy${g} = py${g} + i32(u.padTop) - ky; let sx${g} = px${g} + i32(u.padLeft) - kx; let y${g} = sy${g} / i32(u.stride); let x${g} = sx${g} / i32(u.stride);
    let inside${g} = sy${g} >= 0 && sx${g} >= 0 && y${g} < i32(u.inHeight) && x${g} < i32(u.inWidth) && y${g} * i32(u.stride) == sy${g} && x${g} * i32(u.stride) == sx${g};`;

/** Loops over taps and channels of a window; the row's pixel is decoded once, outside. A part of K is a run of whole taps. */
function windowLoop(spec: SharedSpec): string {
  const groups = loadsOf(spec);
  const decode = groups.map(
    (g) => `let p${g} = min(row0 + ${g * spec.lanes}u + lane, u.M - 1u);
  let px${g} = i32(p${g} % u.outWidth); let py${g} = i32((p${g} / u.outWidth) % u.outHeight); let image${g} = p${g} / (u.outWidth * u.outHeight);`,
  );
  const start = (g: number): string =>
    `let at${g} = select(0u, ((image${g} * u.inHeight + u32(y${g})) * u.inWidth + u32(x${g})) * u.channels, inside${g});`;
  const load = (g: number): string =>
    `select(vec4<f32>(0.0), ${wholeLoad('a_data', spec.storageA, 4, `at${g} + channel`)}, inside${g})`;
  return `${decode.join('\n  ')}
  for (var tap = k0 / u.channels; tap < k1 / u.channels; tap++) {
    let ky = i32(tap / u.kernelWidth); let kx = i32(tap % u.kernelWidth);
    ${groups.map((g) => `${place(spec, g)}\n    ${start(g)}`).join('\n    ')}
    for (var channel = 0u; channel < u.channels; channel += 4u) {
    let k = tap * u.channels + channel;
    ${stepRows(spec, load)}
    }
  }`;
}

const windowLoad = ({
  storageA,
}: SharedSpec): string => `fn load_window(line: u32, x: i32, channel: u32, live: bool) -> vec4<f32> {
  let inside = live && x >= 0 && x < i32(u.inWidth);
  let at = select(0u, (line + u32(x)) * u.channels + channel, inside);
  return select(vec4<f32>(0.0), ${wholeLoad('a_data', storageA, 4, 'at')}, inside);
}`;

/** Weight gradient: rows are (tap, channel), K runs over output pixels, four neighbours of one image row at a time. A part of K is a run of whole lines. */
function weightLoop(spec: SharedSpec): string {
  const loads = loadsOf(spec);
  const decode = loads.map(
    (
      g,
    ) => `let r${g} = min(row0 + ${g * spec.lanes}u + lane / 4u * 4u, u.M - 4u); let tap${g} = r${g} / u.channels; let channel${g} = r${g} % u.channels;
  let ky${g} = i32(tap${g} / u.kernelWidth) - i32(u.padTop); let kx${g} = i32(tap${g} % u.kernelWidth) - i32(u.padLeft);`,
  );
  const line = (g: number): string =>
    `let y${g} = py * i32(u.stride) + ky${g}; let inside${g} = y${g} >= 0 && y${g} < i32(u.inHeight); let line${g} = (image * u.inHeight + u32(max(y${g}, 0))) * u.inWidth;`;
  const load = (g: number): string =>
    `load_window(line${g}, px * i32(u.stride) + kx${g}, channel${g}, inside${g} && px < i32(u.outWidth))`;
  return `${decode.join('\n  ')}
  for (var line = k0 / u.outWidth; line < k1 / u.outWidth; line++) {
    let image = line / u.outHeight; let py = i32(line % u.outHeight);
    ${loads.map(line).join('\n    ')}
    for (var left = 0u; left < u.outWidth; left += 4u) {
    let px = i32(left + lane % 4u); let k = line * u.outWidth + left;
    ${stepColumns(spec, load)}
    }
  }`;
}

/** Loaders that a tile needs besides B's. */
function loaders(spec: SharedSpec): string {
  const { sourceA, sourceB, storageA, storageB, widthA, widthB, columns } = spec;
  const width = sourceB === 'columns' ? 4 : columns;
  const loadB = rowLoader({
    name: 'load_b',
    buffer: 'b_data',
    storage: storageB,
    width,
    whole: widthB === width && (width > 1 || storageB !== 'packed'),
  });
  if (sourceA === 'weight') return `${windowLoad(spec)}\n${loadB}`;
  if (isWindow(spec)) return loadB;
  return `${rowLoader({ name: 'load_a', buffer: 'a_data', storage: storageA, width: 4, whole: widthA === 4 })}\n${loadB}`;
}

const loopOf = (spec: SharedSpec): string => {
  if (!isWindow(spec)) return matrixLoop(spec);
  return spec.sourceA === 'weight' ? weightLoop(spec) : windowLoop(spec);
};

/** One subgroup a tile: A vectors are shared by shuffles, each lane owns neighbouring columns. Sums start from the bias, loaded once for all rows. */
export function sharedCode(spec: SharedSpec): string {
  const { lanes, rows, columns, sourceB, widthB, bias } = spec;
  const wholeRows = sourceB === 'rows' && widthB === columns;
  return `${loaders(spec)}
${storeFunction(spec, columns, false)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let row0 = group.y * ${rows}u;
  let column = group.x * ${columns * lanes}u + lane * ${columns}u;
  let column_b = ${wholeRows ? `min(column, u.N - ${columns}u)` : 'column'};
  ${prologue(spec)}
  let start = ${bias ? biasOf(spec, columns) : 'values(0.0)'};
  ${range(rows)
    .map((r) => `var c${r} = start;`)
    .join(' ')}
  ${loopOf(spec)}
  ${range(rows)
    .map((r) => `store(row0 + ${r}u, column, base_c, c${r});`)
    .join('\n  ')}
}`;
}
