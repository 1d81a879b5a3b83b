import type { Binding, KernelWork } from './define-kernel.ts';
import { elementType, type FloatStorage, vectorOf } from './storage.ts';

export interface AttentionSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Lanes of a subgroup that share a tile; 0 for the plain kernels. */
  readonly lanes: number;
  /** Rows of queries (or keys) of a shared tile: a multiple of the lanes. */
  readonly rows: number;
  /** Head width; a multiple of 4, and of 4 lanes where lanes share. */
  readonly width: number;
  /** Keys per query are limited by a table: of where they end, or of where they begin and end besides key 0. */
  readonly limits: 'none' | 'ends' | 'ranges';
  /** Keys are masked per batch element. */
  readonly mask: boolean;
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const parts = ['x', 'y', 'z', 'w'] as const;
/** Vectors of the width that each lane has of a row. */
export const pieces = ({ width, lanes }: AttentionSpec): number[] => range(width / (4 * lanes));
export const joined = (lines: readonly string[]): string => lines.join('\n    ');

/** `keyRows`: rows between the keys of two batch elements, at least `keys`; more where they lie in a cache. */
export const uniforms = { heads: 'u32', queries: 'u32', keys: 'u32', keyRows: 'u32', scale: 'f32' } as const;

/** Operations of so many products over all pairs; limits and masks, which the host does not know, make the true number smaller. */
export const pairFlops =
  (products: number) =>
  ({ spec, uniforms: u, grid }: KernelWork<AttentionSpec>): number =>
    2 * products * u['queries']! * u['keys']! * spec.width * u['heads']! * grid[2];

/** Rows of queries or keys that one workgroup owns. */
export const attentionRows = ({ lanes, rows }: Pick<AttentionSpec, 'lanes' | 'rows'>): number => (lanes ? rows : 64);

export const tables = ({ limits, mask }: AttentionSpec): Record<string, Binding> => ({
  ...(limits !== 'none' && { limits: (limits === 'ranges' ? 'read vec2<u32>' : 'read u32') as Binding }),
  ...(mask && { mask: 'read u32' as Binding }),
});

export const vector = (type: FloatStorage): Binding => `read ${elementType(type, 4)}`;

/** WGSL: is key `key` of batch element `b` visible to query `query`? By `&`: short circuits of `&&` are branches. */
export const visible = ({ limits, mask }: AttentionSpec, key: string, query: string): string =>
  [
    `(${key} < u.keys)`,
    ...(limits === 'ends' ? [`(${key} < limits[${query}])`] : []),
    ...(limits === 'ranges'
      ? [`((${key} == 0u) | ((${key} >= limits[${query}].x) & (${key} < limits[${query}].y)))`]
      : []),
    ...(mask ? [`(mask[b * u.keys + min(${key}, u.keys - 1u)] != 0u)`] : []),
  ].join(' & ');

/**
 * WGSL, head of a loop over tiles of keys of which some query of this tile of rows may see one. Limits do not fall from row to row, but
 * of ranges the first row may end anywhere.
 */
export function keyTiles({ limits, rows, lanes }: AttentionSpec): string {
  const columns = 4 * lanes;
  const last = `limits[min(row0 + ${rows - 1}u, u.queries - 1u)]`;
  if (limits === 'none') return `for (var c0 = 0u; c0 < u.keys; c0 += ${columns}u)`;
  if (limits === 'ends') return `let end = ${last}; for (var c0 = 0u; c0 < end; c0 += ${columns}u)`;
  return `let end = max(max(limits[row0].y, ${last}.y), 1u); let first = limits[row0].x / ${columns}u * ${columns}u;
  for (var c0 = 0u; c0 < end; c0 = max(c0 + ${columns}u, first))`;
}

/** WGSL in a loop over tiles of queries: whether none of them sees a key of this tile of rows. Never so for both first tiles of ranges. */
export function unseen({ limits, rows, lanes }: AttentionSpec): string {
  const last = `limits[min(c0 + ${4 * lanes - 1}u, u.queries - 1u)]`;
  return limits === 'ends'
    ? `(${last} <= row0)`
    : `((c0 != 0u) & (row0 != 0u) & ((${last}.y <= row0) | (limits[c0].x >= row0 + ${rows}u)))`;
}

/** WGSL, head of a loop over the keys that the query of one invocation may see. */
export const plainKeys = ({ limits }: AttentionSpec): string =>
  limits === 'ranges'
    ? 'for (var key = 0u; key < max(limits[row].y, 1u); key = max(key + 1u, limits[row].x))'
    : 'for (var key = 0u; key < u.keys; key++)';

/** WGSL before a loop over keys: how far each row of queries sees. */
export const queryLimits = (spec: AttentionSpec): string =>
  spec.limits !== 'none' ? rowwise(spec)((r) => `let limit${r} = limits[min(row0 + ${r}u, u.queries - 1u)];`) : '';

/** WGSL in a loop over keys: which of this lane's four columns may be seen at all. Tables are read once a column or a row, not once a pair: each read is a loop of branches on a CPU. */
export const keyColumns = ({ mask }: AttentionSpec): string => `
    let column = vec4<u32>(c0 + lane * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let open = (column < vec4<u32>(u.keys))${mask ? ` & (vec4<u32>(${fourOf((j) => `mask[b * u.keys + min(column.${parts[j]}, u.keys - 1u)]`)}) != vec4<u32>(0u))` : ''};`;

/** WGSL: which of the four keys query row `r` sees. */
export function seenByQuery({ limits }: AttentionSpec, r: number): string {
  if (limits === 'none') return 'open';
  if (limits === 'ends') return `(open & (column < vec4<u32>(limit${r})))`;
  return `(open & ((column == vec4<u32>(0u)) | ((column >= vec4<u32>(limit${r}.x)) & (column < vec4<u32>(limit${r}.y)))))`;
}

/** WGSL before a loop over queries: whether each row of keys may be seen at all. */
export const keyRows = (spec: AttentionSpec): string =>
  rowwise(spec)((r) => {
    const key = `(row0 + ${r}u)`;
    const masked = spec.mask ? ` & (mask[b * u.keys + min(${key}, u.keys - 1u)] != 0u)` : '';
    return `let seen${r} = vec4<bool>((${key} < u.keys)${masked});`;
  });

/** WGSL in a loop over queries: this lane's four columns, and how far they see. */
export function queryColumns({ limits }: AttentionSpec): string {
  const table = (part: string): string =>
    `vec4<u32>(${fourOf((j) => `limits[min(column.${parts[j]}, u.queries - 1u)]${part}`)})`;
  return `
    let column = vec4<u32>(c0 + lane * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let open = column < vec4<u32>(u.queries);
    ${limits === 'ends' ? `let limit = ${table('')};` : ''}
    ${limits === 'ranges' ? `let begin = ${table('.x')}; let limit = ${table('.y')};` : ''}`;
}

/** WGSL: which of the four queries see key row `r`. */
export function seesKey({ limits }: AttentionSpec, r: number): string {
  const key = `row0 + ${r}u`;
  const before = `(vec4<u32>(${key}) < limit)`;
  if (limits === 'none') return `(open & seen${r})`;
  if (limits === 'ends') return `(open & seen${r} & ${before})`;
  return `(open & seen${r} & (vec4<bool>(${key} == 0u) | ((vec4<u32>(${key}) >= begin) & ${before})))`;
}

/** WGSL: four values with commas. */
export const fourOf = (value: (j: number) => string): string => range(4).map(value).join(', ');

/** WGSL: index of the first vector of row `row` of [B, L, heads, width]. */
export const at = (length: string, row: string, width: number): string =>
  `((b * ${length} + ${row}) * u.heads + h) * ${width / 4}u`;

/** WGSL: the start of a kernel where one subgroup works on a head. */
export const sharedHead = ({ lanes }: AttentionSpec): string => `
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let h = group.y; let b = group.z;`;

/** The same, for the tile whose first row is row0. */
export const tileHead = (spec: AttentionSpec): string => `${sharedHead(spec)}
  let row0 = group.x * ${spec.rows}u;`;

/** Sum or maximum over lanes by xor shuffles: the same order on every adapter. */
export function reduceLanes(lanes: number, name: string, op: (a: string, b: string) => string): string {
  const steps: string[] = [];
  for (let offset = 1; offset < lanes; offset *= 2)
    steps.push(`${name} = ${op(name, `subgroupShuffleXor(${name}, ${offset}u)`)};`);
  return steps.join(' ');
}

/** WGSL: rows of a tile, each spread over the lanes by width; they stay there while the tile walks over the other side. */
export const hold = (
  spec: AttentionSpec,
  { data, length, name }: { data: string; length: string; name: string },
): string =>
  rowwise(spec)((r) => {
    const place = at(length, `min(row0 + ${r}u, ${length} - 1u)`, spec.width);
    return pieces(spec)
      .map((d) => `let ${name}${r}_${d} = ${vectorOf(spec.type, `${data}[${place} + ${d * spec.lanes}u + lane]`)};`)
      .join(' ');
  });

/** A product of a tile: names of its sums by row, and the four columns that each lane reads, `$` being the number of one. */
interface Score {
  readonly columns: string;
  readonly name: string;
}

/** WGSL: four columns' vectors of the width, transposed: m0 has their first components. */
const gatherColumns = (spec: AttentionSpec, { columns }: Score): string[] => [
  ...range(4).map((j) => `let t${j} = ${vectorOf(spec.type, columns.replace('$', `${j}`))};`),
  ...parts.map((part, j) => `let m${j} = vec4<f32>(t0.${part}, t1.${part}, t2.${part}, t3.${part});`),
];

const addProduct = ({ name }: Score, r: number, row: string): string =>
  `{ let s = ${row}; ${name}${r} += s.x * m0 + s.y * m1 + s.z * m2 + s.w * m3; }`;

/**
 * Scores of a tile's rows against this lane's four columns: dot products over the width, both sides read as vectors of width.
 * `rows` gives a row's vector at e. Two kinds of scores take two loops: in one, twice as many sums would be carried around it.
 */
export function scores(
  spec: AttentionSpec,
  { rows, ...score }: Score & { readonly rows: (row: string) => string },
): string {
  const { lanes, width } = spec;
  const loads = range(spec.rows / lanes).map(
    (g) => `let r${g} = ${vectorOf(spec.type, rows(`(row0 + ${g * lanes}u + lane)`))};`,
  );
  const products = range(spec.rows).map((r) =>
    addProduct(score, r, `subgroupShuffle(r${Math.floor(r / lanes)}, ${r % lanes}u)`),
  );
  return `for (var e = 0u; e < ${width / 4}u; e++) {
    ${joined([...loads, ...gatherColumns(spec, score), ...products])}
    }`;
}

/** The same with held rows. */
export function heldScores(spec: AttentionSpec, { rows, ...score }: Score & { readonly rows: string }): string {
  const products = (d: number): string[] =>
    range(spec.rows).map((r) => addProduct(score, r, `subgroupShuffle(${rows}${r}_${d}, owner)`));
  const loop = (d: number): string => `for (var owner = 0u; owner < ${spec.lanes}u; owner++) {
    let e = ${d * spec.lanes}u + owner;
    ${joined([...gatherColumns(spec, score), ...products(d)])}
    }`;
  return joined(pieces(spec).map(loop));
}

/** out[row] += p[row][column] * v[column] for the tile's columns: p lives in lanes (4 columns each), v's width is spread over lanes. */
export function accumulate(
  spec: AttentionSpec,
  { p, v, out }: { p: string; v: (column: string, piece: number) => string; out: string },
): string {
  const step = (j: number): string => {
    const loads = pieces(spec).map((d) => `let v${d} = ${vectorOf(spec.type, v(`(c0 + 4u * owner + ${j}u)`, d))};`);
    const products = range(spec.rows).map(
      (r) =>
        `{ let s = subgroupShuffle(${p}${r}.${parts[j]}, owner); ${pieces(spec)
          .map((d) => `${out}${r}_${d} += s * v${d};`)
          .join(' ')} }`,
    );
    return `{ ${joined([...loads, ...products])} }`;
  };
  return `for (var owner = 0u; owner < ${spec.lanes}u; owner++) {
    ${joined(range(4).map(step))}
  }`;
}

export const declare = (spec: AttentionSpec, out: string): string =>
  range(spec.rows)
    .flatMap((r) => pieces(spec).map((d) => `var ${out}${r}_${d} = vec4<f32>(0.0);`))
    .join(' ');

/** Applies a statement to each of the tile's rows. */
export const rowwise =
  ({ rows }: AttentionSpec) =>
  (statement: (r: number) => string): string =>
    joined(range(rows).map(statement));

/** WGSL: the start of a kernel where one invocation has a row of a head. */
export const plainHead = (length: string): string => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let h = group.y; let b = group.z;
  let row = group.x * 64u + local;
  if (row >= ${length}) { return; }`;

/** WGSL: t = the dot product of two rows of vectors. */
export const dot4 = ({ type, width }: AttentionSpec, a: string, b: string): string =>
  `var t = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { t += dot(${vectorOf(type, a)}, ${vectorOf(type, b)}); }`;

export const examples: AttentionSpec[] = [
  { type: 'f32', lanes: 8, rows: 16, width: 64, limits: 'ends', mask: false },
  { type: 'f32', lanes: 4, rows: 8, width: 32, limits: 'none', mask: true },
  { type: 'f16', lanes: 8, rows: 8, width: 32, limits: 'ends', mask: true },
  { type: 'f32', lanes: 4, rows: 8, width: 32, limits: 'ranges', mask: false },
  { type: 'f32', lanes: 0, rows: 0, width: 12, limits: 'ends', mask: true },
  { type: 'f16', lanes: 0, rows: 0, width: 8, limits: 'ranges', mask: false },
  { type: 'packed', lanes: 8, rows: 8, width: 32, limits: 'ends', mask: true },
  { type: 'packed', lanes: 0, rows: 0, width: 12, limits: 'ranges', mask: true },
];

export const enables = ({ lanes }: AttentionSpec): string[] => (lanes ? ['subgroups'] : []);
