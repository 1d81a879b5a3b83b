import {
  accumulate,
  at,
  type AttentionSpec,
  declare,
  dot4,
  enables,
  examples,
  hold,
  heldScores,
  joined,
  pairFlops,
  pieces,
  plainHead,
  sharedHead,
  tileHead,
  range,
  rowwise,
  scores,
  tables,
  uniforms,
  vector,
  fourOf,
  keyColumns,
  keyTiles,
  plainKeys,
  unseen,
  keyRows,
  queryColumns,
  queryLimits,
  seenByQuery,
  seesKey,
  visible,
} from './attention-tiles.ts';
import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { elementType, storedVector, vectorOf } from './storage.ts';

/** moments = (lse, rowsum(do * o)): what a row of scores was divided by, as a logarithm, and the mean of its gradients. [B, heads, Lq].  One invocation a (query, head). */
export const attentionDeltaKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-delta',
  bindings: (spec) => ({
    o_data: vector(spec.type),
    do_data: vector(spec.type),
    lse: 'read f32',
    moments: 'write vec2<f32>',
  }),
  uniforms,
  code: (spec) => `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', spec.width)};
  ${dot4(spec, 'o_data[q + e]', 'do_data[q + e]')}
  let at = (b * u.heads + h) * u.queries + row;
  moments[at] = vec2<f32>(lse[at], t);
}`,
  examples,
});

/** ds of one (query row, four keys): p (dp - delta) scale, with p recomputed from the log-sum-exp. */
function queryGradientShared(spec: AttentionSpec): string {
  const eachRow = rowwise(spec);
  const { lanes, width, type } = spec;
  return `${tileHead(spec)}
  let base = (b * u.heads + h) * u.queries;
  ${queryLimits(spec)}
  ${eachRow((r) => `let query${r} = base + min(row0 + ${r}u, u.queries - 1u); let top${r} = moments[query${r}].x; let mean${r} = moments[query${r}].y;`)}
  ${declare(spec, 'o')}
  ${keyTiles(spec)} {
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0); var g${r} = vec4<f32>(0.0);`)}
    ${range(4)
      .map(
        (j) => `let key${j} = min(c0 + lane * 4u + ${j}u, u.keys - 1u); let k${j} = ${at('u.keys', `key${j}`, width)};`,
      )
      .join(' ')}
    ${scores(spec, { rows: (row) => `q_data[${at('u.queries', `min(${row}, u.queries - 1u)`, width)} + e]`, columns: 'k_data[k$ + e]', name: 's' })}
    ${scores(spec, { rows: (row) => `do_data[${at('u.queries', `min(${row}, u.queries - 1u)`, width)} + e]`, columns: 'v_data[k$ + e]', name: 'g' })}
    ${keyColumns(spec)}
    ${eachRow((r) => `s${r} = select(vec4<f32>(0.0), exp(s${r} * u.scale - top${r}) * (g${r} - mean${r}) * u.scale, ${seenByQuery(spec, r)});`)}
    ${accumulate(spec, { p: 's', out: 'o', v: (column, d) => `k_data[${at('u.keys', `min(${column}, u.keys - 1u)`, width)} + ${d * lanes}u + lane]` })}
  }
  ${eachRow(
    (r) =>
      `if (row0 + ${r}u < u.queries) { ${pieces(spec)
        .map(
          (d) =>
            `dq_data[${at('u.queries', `row0 + ${r}u`, width)} + ${d * lanes}u + lane] = ${storedVector(type, `o${r}_${d}`)};`,
        )
        .join(' ')} }`,
  )}
}`;
}

function queryGradientPlain(spec: AttentionSpec): string {
  const { width, type } = spec;
  return `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', width)};
  let base = (b * u.heads + h) * u.queries + row;
  var o: array<vec4<f32>, ${width / 4}>;
  ${plainKeys(spec)} {
    if (!(${visible(spec, 'key', 'row')})) { continue; }
    let k = ${at('u.keys', 'key', width)};
    ${dot4(spec, 'q_data[q + e]', 'k_data[k + e]')}
    var g = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { g += dot(${vectorOf(type, 'do_data[q + e]')}, ${vectorOf(type, 'v_data[k + e]')}); }
    let s = exp(t * u.scale - moments[base].x) * (g - moments[base].y) * u.scale;
    for (var e = 0u; e < ${width / 4}u; e++) { o[e] += s * ${vectorOf(type, 'k_data[k + e]')}; }
  }
  for (var e = 0u; e < ${width / 4}u; e++) { dq_data[q + e] = ${storedVector(type, 'o[e]')}; }
}`;
}

const gradientInputs = (spec: AttentionSpec): Record<string, Binding> => ({
  q_data: vector(spec.type),
  k_data: vector(spec.type),
  v_data: vector(spec.type),
  do_data: vector(spec.type),
  moments: 'read vec2<f32>',
  ...tables(spec),
});

/** dq = (p (do v^T - delta) scale) k.  Shapes as in attention.  One subgroup owns a few queries of one head. */
export const attentionQueryGradientKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-query-gradient',
  bindings: (spec) => ({ ...gradientInputs(spec), dq_data: `write ${elementType(spec.type, 4)}` as Binding }),
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? queryGradientShared(spec) : queryGradientPlain(spec)),
  flops: pairFlops(3),
  examples,
});

/** What a kernel over keys writes: both gradients, or one of them where a device grants few buffers. */
interface KeyGradientSpec extends AttentionSpec {
  readonly writes: 'keys and values' | 'keys' | 'values';
}

const writesKeys = ({ writes }: KeyGradientSpec): boolean => writes !== 'values';
const writesValues = ({ writes }: KeyGradientSpec): boolean => writes !== 'keys';

/** Rows are keys, columns are queries: the transpose of the forward tile. */
function keyTile(spec: KeyGradientSpec, { alsoQueries }: { readonly alsoQueries: boolean }): string {
  const eachRow = rowwise(spec);
  const { lanes, width } = spec;
  const columns = 4 * lanes;
  const queries = range(4).map((j) => `min(c0 + lane * 4u + ${j}u, u.queries - 1u)`);
  const byWidth = (data: string) => (query: string, d: number) =>
    `${data}[${at('u.queries', `min(${query}, u.queries - 1u)`, width)} + ${d * lanes}u + lane]`;
  return `${hold(spec, { data: 'k_data', length: 'u.keys', name: 'held_k' })}
  ${keyRows(spec)}
  ${writesKeys(spec) ? declare(spec, 'dk') : ''}
  ${writesValues(spec) ? declare(spec, 'dv') : ''}
  for (var c0 = 0u; c0 < u.queries; c0 += ${columns}u) {
    ${spec.limits === 'none' ? '' : `if (${alsoQueries ? `(row0 != 0u) & ${unseen(spec)}` : unseen(spec)}) { continue; }`}
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0); var g${r} = vec4<f32>(0.0);`)}
    ${queries.map((query, j) => `let q${j} = ${at('u.queries', query, width)};`).join(' ')}
    ${heldScores(spec, { rows: 'held_k', columns: 'q_data[q$ + e]', name: 's' })}
    ${writesKeys(spec) ? scores(spec, { rows: (row) => `v_data[${at('u.keys', `min(${row}, u.keys - 1u)`, width)} + e]`, columns: 'do_data[q$ + e]', name: 'g' }) : ''}
    ${range(4)
      .map((j) => `let moments${j} = moments[base + ${queries[j]}];`)
      .join(' ')}
    let top = vec4<f32>(${fourOf((j) => `moments${j}.x`)});
    let mean = vec4<f32>(${fourOf((j) => `moments${j}.y`)});
    ${queryColumns(spec)}
    ${eachRow((r) => `{ let live = ${seesKey(spec, r)}; s${r} = select(vec4<f32>(0.0), exp(s${r} * u.scale - top), live); ${writesKeys(spec) ? `g${r} = s${r} * (g${r} - mean) * u.scale;` : ''} }`)}
    ${writesValues(spec) ? accumulate(spec, { p: 's', out: 'dv', v: byWidth('do_data') }) : ''}
    ${writesKeys(spec) ? accumulate(spec, { p: 'g', out: 'dk', v: byWidth('q_data') }) : ''}
    ${alsoQueries ? addToQueries(spec) : ''}
  }
  ${eachRow((r) => writeKey(spec, r))}`;
}

/** WGSL: the gradients of the tile's row `r`. */
function writeKey(spec: KeyGradientSpec, r: number): string {
  const writes = pieces(spec).map((d) => {
    const index = `${at('u.keys', `row0 + ${r}u`, spec.width)} + ${d * spec.lanes}u + lane`;
    const write = (name: string): string => `${name}_data[${index}] = ${storedVector(spec.type, `${name}${r}_${d}`)};`;
    return [...(writesKeys(spec) ? [write('dk')] : []), ...(writesValues(spec) ? [write('dv')] : [])].join(' ');
  });
  return `if (row0 + ${r}u < u.keys) { ${writes.join(' ')} }`;
}

/** dq[query] += sum over the tile's keys of ds[key] k[key], in memory; the first tile begins with 0. */
function addToQueries(spec: AttentionSpec): string {
  const step = `{
    let query = c0 + 4u * owner + j;
    let place = ${at('u.queries', 'min(query, u.queries - 1u)', spec.width)} + lane;
    ${joined(pieces(spec).map((d) => `var t${d} = select(dq_data[place + ${d * spec.lanes}u], vec4<f32>(0.0), row0 == 0u);`))}
    ${rowwise(spec)(
      (r) =>
        `{ let s = subgroupShuffle(g${r}[j], owner); ${pieces(spec)
          .map((d) => `t${d} += s * held_k${r}_${d};`)
          .join(' ')} }`,
    )}
    if (query < u.queries) { ${pieces(spec)
      .map((d) => `dq_data[place + ${d * spec.lanes}u] = t${d};`)
      .join(' ')} }
  }`;
  return `for (var owner = 0u; owner < ${spec.lanes}u; owner++) {
    for (var j = 0u; j < 4u; j++) ${step}
  }`;
}

const queryBase = 'let base = (b * u.heads + h) * u.queries;';

const keyGradientShared = (spec: KeyGradientSpec): string => `${tileHead(spec)}
  ${queryBase}
  ${keyTile(spec, { alsoQueries: false })}
}`;

const jointGradient = (spec: AttentionSpec): string => `${sharedHead(spec)}
  ${queryBase}
  for (var row0 = 0u; row0 < u.keys; row0 += ${spec.rows}u) {
  ${keyTile({ ...spec, writes: 'keys and values' }, { alsoQueries: true })}
  }
}`;

function keyGradientPlain(spec: KeyGradientSpec): string {
  const { width, type } = spec;
  const keys = (code: string): string => (writesKeys(spec) ? code : '');
  const values = (code: string): string => (writesValues(spec) ? code : '');
  return `${plainHead('u.keys')}
  let k = ${at('u.keys', 'row', width)};
  let base = (b * u.heads + h) * u.queries;
  ${keys(`var dk: array<vec4<f32>, ${width / 4}>;`)}
  ${values(`var dv: array<vec4<f32>, ${width / 4}>;`)}
  for (var query = 0u; query < u.queries; query++) {
    if (!(${visible(spec, 'row', 'query')})) { continue; }
    let q = ${at('u.queries', 'query', width)};
    ${dot4(spec, 'q_data[q + e]', 'k_data[k + e]')}
    let m = moments[base + query];
    let p = exp(t * u.scale - m.x);
    ${keys(`var g = 0.0; for (var e = 0u; e < ${width / 4}u; e++) { g += dot(${vectorOf(type, 'do_data[q + e]')}, ${vectorOf(type, 'v_data[k + e]')}); }
    let s = p * (g - m.y) * u.scale;`)}
    for (var e = 0u; e < ${width / 4}u; e++) { ${keys(`dk[e] += s * ${vectorOf(type, 'q_data[q + e]')};`)} ${values(`dv[e] += p * ${vectorOf(type, 'do_data[q + e]')};`)} }
  }
  for (var e = 0u; e < ${width / 4}u; e++) { ${keys(`dk_data[k + e] = ${storedVector(type, 'dk[e]')};`)} ${values(`dv_data[k + e] = ${storedVector(type, 'dv[e]')};`)} }
}`;
}

/** dv = p^T do, dk = (p (do v^T - delta) scale)^T q.  Shapes as in attention.  One subgroup owns a few keys of one head. */
export const attentionKeyGradientKernel: Kernel<KeyGradientSpec> = defineKernel<KeyGradientSpec>({
  name: 'attention-key-gradient',
  bindings: (spec) => {
    const { v_data, ...inputs } = gradientInputs(spec);
    const write = `write ${elementType(spec.type, 4)}` as Binding;
    return {
      ...inputs,
      ...(writesKeys(spec) && { v_data: v_data!, dk_data: write }),
      ...(writesValues(spec) && { dv_data: write }),
    };
  },
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? keyGradientShared(spec) : keyGradientPlain(spec)),
  flops: pairFlops(4),
  examples: (['keys and values', 'keys', 'values'] as const).flatMap((writes) =>
    examples.map((spec) => ({ ...spec, writes })),
  ),
});

/** dq, dk and dv at once: scores are worked out once instead of twice. Shapes as in attention; dq in f32.  One subgroup owns a head, so that only it adds to the head's queries. */
export const attentionGradientKernel: Kernel<AttentionSpec> = defineKernel<AttentionSpec>({
  name: 'attention-gradient',
  bindings: (spec) => ({
    ...gradientInputs(spec),
    dq_data: 'read_write vec4<f32>',
    dk_data: `write ${elementType(spec.type, 4)}` as Binding,
    dv_data: `write ${elementType(spec.type, 4)}` as Binding,
  }),
  uniforms,
  enables,
  code: jointGradient,
  flops: pairFlops(5),
  examples: examples.filter(({ lanes }) => lanes > 0),
});
