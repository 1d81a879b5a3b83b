import { type Binding, defineKernel, type Kernel, type KernelWork } from './define-kernel.ts';

export interface AttentionSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
  /** Lanes of a subgroup that share a tile; 0 for the plain kernels. */
  readonly lanes: number;
  /** Rows of queries (or keys) of a shared tile: a multiple of the lanes. */
  readonly rows: number;
  /** Head width; a multiple of 4, and of 4 lanes where lanes share. */
  readonly width: number;
  /** Keys per query are limited by a table. */
  readonly limits: boolean;
  /** Keys are masked per batch element. */
  readonly mask: boolean;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const parts = ['x', 'y', 'z', 'w'] as const;
const joined = (lines: readonly string[]): string => lines.join('\n    ');

/** `keyRows`: rows between the keys of two batch elements, at least `keys`; more where they lie in a cache. */
const uniforms = { heads: 'u32', queries: 'u32', keys: 'u32', keyRows: 'u32', scale: 'f32' } as const;

/** Operations of so many products over all pairs; limits and masks, which the host does not know, make the true number smaller. */
const pairFlops =
  (products: number) =>
  ({ spec, uniforms: u, grid }: KernelWork<AttentionSpec>): number =>
    2 * products * u['queries']! * u['keys']! * spec.width * u['heads']! * grid[2];

/** Rows of queries or keys that one workgroup owns. */
export const attentionRows = ({ lanes, rows }: Pick<AttentionSpec, 'lanes' | 'rows'>): number => (lanes ? rows : 64);

const tables = ({ limits, mask }: AttentionSpec): Record<string, Binding> => ({
  ...(limits && { limits: 'read u32' as Binding }),
  ...(mask && { mask: 'read u32' as Binding }),
});

const vector = (type: string): Binding => `read vec4<${type}>` as Binding;

/** WGSL: is key `key` of batch element `b` visible to query `query`? By `&`, as 32 short circuits of `&&` a tile are branches that SwiftShader takes minutes to compile. */
const visible = ({ limits, mask }: AttentionSpec, key: string, query: string): string =>
  [
    `(${key} < u.keys)`,
    ...(limits ? [`(${key} < limits[${query}])`] : []),
    ...(mask ? [`(mask[b * u.keys + min(${key}, u.keys - 1u)] != 0u)`] : []),
  ].join(' & ');

/** WGSL: index of the first vector of row `row` of [B, L, heads, width]. */
const at = (length: string, row: string, width: number): string =>
  `((b * ${length} + ${row}) * u.heads + h) * ${width / 4}u`;

const prologue = ({ lanes, rows }: AttentionSpec): string => `
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let h = group.y; let b = group.z;
  let row0 = group.x * ${rows}u;`;

/** Sum or maximum over lanes by xor shuffles: the same order on every adapter. */
function reduceLanes(lanes: number, name: string, op: (a: string, b: string) => string): string {
  const steps: string[] = [];
  for (let offset = 1; offset < lanes; offset *= 2)
    steps.push(`${name} = ${op(name, `subgroupShuffleXor(${name}, ${offset}u)`)};`);
  return steps.join(' ');
}

/** Scores of a tile's rows against this lane's four columns: dot products over the width, both sides read as vectors of width. */
function scores(spec: AttentionSpec, { rows, columns, name }: { rows: string; columns: string; name: string }): string {
  const loads = range(spec.rows / spec.lanes).map((g) => `let r${g} = vec4<f32>(${rows.replace('$', `${g}`)});`);
  const gathers = [
    ...range(4).map((j) => `let t${j} = vec4<f32>(${columns.replace('$', `${j}`)});`),
    ...parts.map((part, j) => `let m${j} = vec4<f32>(t0.${part}, t1.${part}, t2.${part}, t3.${part});`),
  ];
  const products = range(spec.rows).map(
    (r) =>
      `{ let s = subgroupShuffle(r${Math.floor(r / spec.lanes)}, ${r % spec.lanes}u); ${name}${r} += s.x * m0 + s.y * m1 + s.z * m2 + s.w * m3; }`,
  );
  return joined([...loads, ...gathers, ...products]);
}

/** Scores over the whole width. Two kinds of scores take two loops: in one, twice as many sums would be carried around it. */
const scoreLoop = (spec: AttentionSpec, sides: Parameters<typeof scores>[1]): string =>
  `for (var e = 0u; e < ${spec.width / 4}u; e++) {
    ${scores(spec, sides)}
    }`;

/** Row index of this lane in load group g, clamped to the last row. */
const laneRow = (spec: AttentionSpec, g: string, length: string): string =>
  `min(row0 + ${g} * ${spec.lanes}u + lane, ${length} - 1u)`;

/** out[row] += p[row][column] * v[column] for the tile's columns: p lives in lanes (4 columns each), v's width is spread over lanes. */
function accumulate(
  spec: AttentionSpec,
  { p, v, out }: { p: string; v: (column: string, piece: number) => string; out: string },
): string {
  const pieces = range(spec.width / (4 * spec.lanes));
  const step = (j: number): string => {
    const loads = pieces.map((d) => `let v${d} = vec4<f32>(${v(`(c0 + 4u * owner + ${j}u)`, d)});`);
    const products = range(spec.rows).map(
      (r) =>
        `{ let s = subgroupShuffle(${p}${r}.${parts[j]}, owner); ${pieces.map((d) => `${out}${r}_${d} += s * v${d};`).join(' ')} }`,
    );
    return `{ ${joined([...loads, ...products])} }`;
  };
  return `for (var owner = 0u; owner < ${spec.lanes}u; owner++) {
    ${joined(range(4).map(step))}
  }`;
}

const declare = (spec: AttentionSpec, out: string): string =>
  range(spec.rows)
    .flatMap((r) => range(spec.width / (4 * spec.lanes)).map((d) => `var ${out}${r}_${d} = vec4<f32>(0.0);`))
    .join(' ');

/** Applies a statement to each of the tile's rows. */
const rowwise =
  ({ rows }: AttentionSpec) =>
  (statement: (r: number) => string): string =>
    joined(range(rows).map(statement));

function forwardShared(spec: AttentionSpec): string {
  const eachRow = rowwise(spec);
  const { lanes, width, type } = spec;
  const columns = 4 * lanes;
  const pieces = range(width / columns);
  return `${prologue(spec)}
  let end = ${spec.limits ? `limits[min(row0 + ${spec.rows - 1}u, u.queries - 1u)]` : 'u.keys'};
  ${eachRow((r) => `var top${r} = -1e30; var sum${r} = 0.0;`)}
  ${declare(spec, 'o')}
  for (var c0 = 0u; c0 < end; c0 += ${columns}u) {
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0);`)}
    ${range(4)
      .map(
        (j) =>
          `let key${j} = min(c0 + lane * 4u + ${j}u, u.keys - 1u); let k${j} = ${at('u.keyRows', `key${j}`, width)};`,
      )
      .join(' ')}
    ${range(spec.rows / lanes)
      .map((g) => `let q${g} = ${at('u.queries', laneRow(spec, `${g}u`, 'u.queries'), width)};`)
      .join(' ')}
    ${scoreLoop(spec, { rows: 'q_data[q$ + e]', columns: 'k_data[k$ + e]', name: 's' })}
    ${eachRow((r) => {
      const query = `min(row0 + ${r}u, u.queries - 1u)`;
      const live = `vec4<bool>(${range(4)
        .map((j) => `(${visible(spec, `(c0 + lane * 4u + ${j}u)`, query)})`)
        .join(', ')})`;
      return `{ let live = ${live}; s${r} = select(vec4<f32>(-1e30), s${r} * u.scale, live);
      var best = max(max(s${r}.x, s${r}.y), max(s${r}.z, s${r}.w)); ${reduceLanes(lanes, 'best', (a, b) => `max(${a}, ${b})`)}
      let next = max(top${r}, best); let fade = exp(top${r} - next); top${r} = next;
      s${r} = select(vec4<f32>(0.0), exp(s${r} - next), live);
      var part = s${r}.x + s${r}.y + s${r}.z + s${r}.w; ${reduceLanes(lanes, 'part', (a, b) => `(${a} + ${b})`)}
      sum${r} = sum${r} * fade + part; ${pieces.map((d) => `o${r}_${d} *= fade;`).join(' ')} }`;
    })}
    ${accumulate(spec, { p: 's', out: 'o', v: (column, d) => `v_data[${at('u.keyRows', `min(${column}, u.keys - 1u)`, width)} + ${d * lanes}u + lane]` })}
  }
  ${eachRow(
    (r) => `if (row0 + ${r}u < u.queries) { let inverse = select(0.0, 1.0 / sum${r}, sum${r} > 0.0);
    ${pieces.map((d) => `o_data[${at('u.queries', `row0 + ${r}u`, width)} + ${d * lanes}u + lane] = vec4<${type}>(o${r}_${d} * inverse);`).join(' ')}
    if (lane == 0u) { lse[(b * u.heads + h) * u.queries + row0 + ${r}u] = select(1e30, top${r} + log(sum${r}), sum${r} > 0.0); } }`,
  )}
}`;
}

const plainHead = (length: string): string => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let h = group.y; let b = group.z;
  let row = group.x * 64u + local;
  if (row >= ${length}) { return; }`;

const dot4 = (a: string, b: string, width: number): string =>
  `var t = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { t += dot(vec4<f32>(${a}), vec4<f32>(${b})); }`;

function forwardPlain(spec: AttentionSpec): string {
  const { width, type } = spec;
  return `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', width)};
  var top = -1e30; var sum = 0.0;
  var o: array<vec4<f32>, ${width / 4}>;
  for (var key = 0u; key < u.keys; key++) {
    if (!(${visible(spec, 'key', 'row')})) { continue; }
    let k = ${at('u.keyRows', 'key', width)};
    ${dot4('q_data[q + e]', 'k_data[k + e]', width)}
    let next = max(top, t * u.scale);
    let fade = exp(top - next);
    let p = exp(t * u.scale - next);
    top = next; sum = sum * fade + p;
    for (var e = 0u; e < ${width / 4}u; e++) { o[e] = o[e] * fade + p * vec4<f32>(v_data[k + e]); }
  }
  let inverse = select(0.0, 1.0 / sum, sum > 0.0);
  for (var e = 0u; e < ${width / 4}u; e++) { o_data[q + e] = vec4<${type}>(o[e] * inverse); }
  lse[(b * u.heads + h) * u.queries + row] = select(1e30, top + log(sum), sum > 0.0);
}`;
}

const examples: AttentionSpec[] = [
  { type: 'f32', lanes: 8, rows: 16, width: 64, limits: true, mask: false },
  { type: 'f32', lanes: 4, rows: 8, width: 32, limits: false, mask: true },
  { type: 'f16', lanes: 8, rows: 8, width: 32, limits: true, mask: true },
  { type: 'f32', lanes: 0, rows: 0, width: 12, limits: true, mask: true },
];

const enables = ({ lanes }: AttentionSpec): string[] => (lanes ? ['subgroups'] : []);

/**
 * o = softmax(scale q k^T over visible keys) v by online softmax; lse = log of the softmax's denominator.
 * q, o: [B, Lq, heads, width], k, v: [B, Lk, heads, width], lse: [B, heads, Lq].  One subgroup owns a few queries of one head; no Lq x Lk matrix exists.
 */
export const attentionKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention',
  bindings: (spec) => ({
    q_data: vector(spec.type),
    k_data: vector(spec.type),
    v_data: vector(spec.type),
    ...tables(spec),
    o_data: `write vec4<${spec.type}>` as Binding,
    lse: 'write f32',
  }),
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? forwardShared(spec) : forwardPlain(spec)),
  flops: pairFlops(2),
  examples,
});

/** delta = rowsum(do * o), scattered to [B, heads, Lq].  One invocation a (query, head). */
export const attentionDeltaKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-delta',
  bindings: (spec) => ({ o_data: vector(spec.type), do_data: vector(spec.type), delta: 'write f32' }),
  uniforms,
  code: ({ width }) => `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', width)};
  ${dot4('o_data[q + e]', 'do_data[q + e]', width)}
  delta[(b * u.heads + h) * u.queries + row] = t;
}`,
  examples,
});

/** ds of one (query row, four keys): p (dp - delta) scale, with p recomputed from the log-sum-exp. */
function queryGradientShared(spec: AttentionSpec): string {
  const eachRow = rowwise(spec);
  const { lanes, width, type } = spec;
  const columns = 4 * lanes;
  const pieces = range(width / columns);
  return `${prologue(spec)}
  let end = ${spec.limits ? `limits[min(row0 + ${spec.rows - 1}u, u.queries - 1u)]` : 'u.keys'};
  let base = (b * u.heads + h) * u.queries;
  ${declare(spec, 'o')}
  for (var c0 = 0u; c0 < end; c0 += ${columns}u) {
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0); var g${r} = vec4<f32>(0.0);`)}
    ${range(4)
      .map(
        (j) => `let key${j} = min(c0 + lane * 4u + ${j}u, u.keys - 1u); let k${j} = ${at('u.keys', `key${j}`, width)};`,
      )
      .join(' ')}
    ${range(spec.rows / lanes)
      .map((g) => `let q${g} = ${at('u.queries', laneRow(spec, `${g}u`, 'u.queries'), width)};`)
      .join(' ')}
    ${scoreLoop(spec, { rows: 'q_data[q$ + e]', columns: 'k_data[k$ + e]', name: 's' })}
    ${scoreLoop(spec, { rows: 'do_data[q$ + e]', columns: 'v_data[k$ + e]', name: 'g' })}
    ${eachRow((r) => {
      const query = `min(row0 + ${r}u, u.queries - 1u)`;
      const live = `vec4<bool>(${range(4)
        .map((j) => `(${visible(spec, `(c0 + lane * 4u + ${j}u)`, query)})`)
        .join(', ')})`;
      return `s${r} = select(vec4<f32>(0.0), exp(s${r} * u.scale - lse[base + ${query}]) * (g${r} - delta[base + ${query}]) * u.scale, ${live});`;
    })}
    ${accumulate(spec, { p: 's', out: 'o', v: (column, d) => `k_data[${at('u.keys', `min(${column}, u.keys - 1u)`, width)} + ${d * lanes}u + lane]` })}
  }
  ${eachRow((r) => `if (row0 + ${r}u < u.queries) { ${pieces.map((d) => `dq_data[${at('u.queries', `row0 + ${r}u`, width)} + ${d * lanes}u + lane] = vec4<${type}>(o${r}_${d});`).join(' ')} }`)}
}`;
}

function queryGradientPlain(spec: AttentionSpec): string {
  const { width, type } = spec;
  return `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', width)};
  let base = (b * u.heads + h) * u.queries + row;
  var o: array<vec4<f32>, ${width / 4}>;
  for (var key = 0u; key < u.keys; key++) {
    if (!(${visible(spec, 'key', 'row')})) { continue; }
    let k = ${at('u.keys', 'key', width)};
    ${dot4('q_data[q + e]', 'k_data[k + e]', width)}
    var g = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { g += dot(vec4<f32>(do_data[q + e]), vec4<f32>(v_data[k + e])); }
    let s = exp(t * u.scale - lse[base]) * (g - delta[base]) * u.scale;
    for (var e = 0u; e < ${width / 4}u; e++) { o[e] += s * vec4<f32>(k_data[k + e]); }
  }
  for (var e = 0u; e < ${width / 4}u; e++) { dq_data[q + e] = vec4<${type}>(o[e]); }
}`;
}

const gradientInputs = (spec: AttentionSpec): Record<string, Binding> => ({
  q_data: vector(spec.type),
  k_data: vector(spec.type),
  v_data: vector(spec.type),
  do_data: vector(spec.type),
  lse: 'read f32',
  delta: 'read f32',
  ...tables(spec),
});

/** dq = (p (do v^T - delta) scale) k.  Shapes as in attention.  One subgroup owns a few queries of one head. */
export const attentionQueryGradientKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-query-gradient',
  bindings: (spec) => ({ ...gradientInputs(spec), dq_data: `write vec4<${spec.type}>` as Binding }),
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? queryGradientShared(spec) : queryGradientPlain(spec)),
  flops: pairFlops(3),
  examples,
});

/** Rows are keys, columns are queries: the transpose of the forward tile. */
function keyGradientShared(spec: AttentionSpec): string {
  const eachRow = rowwise(spec);
  const { lanes, width, type } = spec;
  const columns = 4 * lanes;
  const pieces = range(width / columns);
  const queries = range(4).map((j) => `min(c0 + lane * 4u + ${j}u, u.queries - 1u)`);
  return `${prologue(spec)}
  let base = (b * u.heads + h) * u.queries;
  ${declare(spec, 'dk')}
  ${declare(spec, 'dv')}
  for (var c0 = 0u; c0 < u.queries; c0 += ${columns}u) {
    ${spec.limits ? `if (limits[min(c0 + ${columns - 1}u, u.queries - 1u)] <= row0) { continue; }` : ''}
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0); var g${r} = vec4<f32>(0.0);`)}
    ${queries.map((query, j) => `let q${j} = ${at('u.queries', query, width)};`).join(' ')}
    ${range(spec.rows / lanes)
      .map((g) => `let k${g} = ${at('u.keys', laneRow(spec, `${g}u`, 'u.keys'), width)};`)
      .join(' ')}
    ${scoreLoop(spec, { rows: 'k_data[k$ + e]', columns: 'q_data[q$ + e]', name: 's' })}
    ${scoreLoop(spec, { rows: 'v_data[k$ + e]', columns: 'do_data[q$ + e]', name: 'g' })}
    let top = vec4<f32>(${queries.map((query) => `lse[base + ${query}]`).join(', ')});
    let mean = vec4<f32>(${queries.map((query) => `delta[base + ${query}]`).join(', ')});
    ${eachRow((r) => {
      const live = `vec4<bool>(${queries.map((query, j) => `((c0 + lane * 4u + ${j}u < u.queries) & ${visible(spec, `(row0 + ${r}u)`, query)})`).join(', ')})`;
      return `{ let live = ${live}; s${r} = select(vec4<f32>(0.0), exp(s${r} * u.scale - top), live); g${r} = s${r} * (g${r} - mean) * u.scale; }`;
    })}
    ${accumulate(spec, { p: 's', out: 'dv', v: (column, d) => `do_data[${at('u.queries', `min(${column}, u.queries - 1u)`, width)} + ${d * lanes}u + lane]` })}
    ${accumulate(spec, { p: 'g', out: 'dk', v: (column, d) => `q_data[${at('u.queries', `min(${column}, u.queries - 1u)`, width)} + ${d * lanes}u + lane]` })}
  }
  ${eachRow(
    (r) =>
      `if (row0 + ${r}u < u.keys) { ${pieces
        .map((d) => {
          const index = `${at('u.keys', `row0 + ${r}u`, width)} + ${d * lanes}u + lane`;
          return `dk_data[${index}] = vec4<${type}>(dk${r}_${d}); dv_data[${index}] = vec4<${type}>(dv${r}_${d});`;
        })
        .join(' ')} }`,
  )}
}`;
}

function keyGradientPlain(spec: AttentionSpec): string {
  const { width, type } = spec;
  return `${plainHead('u.keys')}
  let k = ${at('u.keys', 'row', width)};
  let base = (b * u.heads + h) * u.queries;
  var dk: array<vec4<f32>, ${width / 4}>;
  var dv: array<vec4<f32>, ${width / 4}>;
  for (var query = 0u; query < u.queries; query++) {
    if (!(${visible(spec, 'row', 'query')})) { continue; }
    let q = ${at('u.queries', 'query', width)};
    ${dot4('q_data[q + e]', 'k_data[k + e]', width)}
    var g = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { g += dot(vec4<f32>(do_data[q + e]), vec4<f32>(v_data[k + e])); }
    let p = exp(t * u.scale - lse[base + query]);
    let s = p * (g - delta[base + query]) * u.scale;
    for (var e = 0u; e < ${width / 4}u; e++) { dk[e] += s * vec4<f32>(q_data[q + e]); dv[e] += p * vec4<f32>(do_data[q + e]); }
  }
  for (var e = 0u; e < ${width / 4}u; e++) { dk_data[k + e] = vec4<${type}>(dk[e]); dv_data[k + e] = vec4<${type}>(dv[e]); }
}`;
}

/** dv = p^T do, dk = (p (do v^T - delta) scale)^T q.  Shapes as in attention.  One subgroup owns a few keys of one head. */
export const attentionKeyGradientKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-key-gradient',
  bindings: (spec) => ({
    ...gradientInputs(spec),
    dk_data: `write vec4<${spec.type}>` as Binding,
    dv_data: `write vec4<${spec.type}>` as Binding,
  }),
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? keyGradientShared(spec) : keyGradientPlain(spec)),
  flops: pairFlops(4),
  examples,
});
