import {
  accumulate,
  at,
  type AttentionSpec,
  declare,
  dot4,
  enables,
  examples,
  pairFlops,
  pieces,
  plainHead,
  tileHead,
  range,
  reduceLanes,
  rowwise,
  scores,
  tables,
  uniforms,
  vector,
  keyColumns,
  keyTiles,
  plainKeys,
  queryLimits,
  seenByQuery,
  visible,
} from './attention-tiles.ts';
import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { elementType, storedVector, vectorOf } from './storage.ts';

function forwardShared(spec: AttentionSpec): string {
  const eachRow = rowwise(spec);
  const { lanes, width, type } = spec;
  return `${tileHead(spec)}
  ${eachRow((r) => `var top${r} = -1e30; var sum${r} = 0.0;`)}
  ${queryLimits(spec)}
  ${declare(spec, 'o')}
  ${keyTiles(spec)} {
    ${eachRow((r) => `var s${r} = vec4<f32>(0.0);`)}
    ${range(4)
      .map(
        (j) =>
          `let key${j} = min(c0 + lane * 4u + ${j}u, u.keys - 1u); let k${j} = ${at('u.keyRows', `key${j}`, width)};`,
      )
      .join(' ')}
    ${scores(spec, { rows: (row) => `q_data[${at('u.queries', `min(${row}, u.queries - 1u)`, width)} + e]`, columns: 'k_data[k$ + e]', name: 's' })}
    ${keyColumns(spec)}
    ${eachRow((r) => {
      return `{ let live = ${seenByQuery(spec, r)}; s${r} = select(vec4<f32>(-1e30), s${r} * u.scale, live);
      var best = max(max(s${r}.x, s${r}.y), max(s${r}.z, s${r}.w)); ${reduceLanes(lanes, 'best', (a, b) => `max(${a}, ${b})`)}
      let next = max(top${r}, best); let fade = exp(top${r} - next); top${r} = next;
      s${r} = select(vec4<f32>(0.0), exp(s${r} - next), live);
      sum${r} = sum${r} * fade + (s${r}.x + s${r}.y + s${r}.z + s${r}.w); ${pieces(spec)
        .map((d) => `o${r}_${d} *= fade;`)
        .join(' ')} }`;
    })}
    ${accumulate(spec, { p: 's', out: 'o', v: (column, d) => `v_data[${at('u.keyRows', `min(${column}, u.keys - 1u)`, width)} + ${d * lanes}u + lane]` })}
  }
  ${eachRow((r) => reduceLanes(lanes, `sum${r}`, (a, b) => `(${a} + ${b})`))}
  ${eachRow(
    (r) => `if (row0 + ${r}u < u.queries) { let inverse = select(0.0, 1.0 / sum${r}, sum${r} > 0.0);
    ${pieces(spec)
      .map(
        (d) =>
          `o_data[${at('u.queries', `row0 + ${r}u`, width)} + ${d * lanes}u + lane] = ${storedVector(type, `o${r}_${d} * inverse`)};`,
      )
      .join(' ')}
    if (lane == 0u) { lse[(b * u.heads + h) * u.queries + row0 + ${r}u] = select(1e30, top${r} + log(sum${r}), sum${r} > 0.0); } }`,
  )}
}`;
}

function forwardPlain(spec: AttentionSpec): string {
  const { width, type } = spec;
  return `${plainHead('u.queries')}
  let q = ${at('u.queries', 'row', width)};
  var top = -1e30; var sum = 0.0;
  var o: array<vec4<f32>, ${width / 4}>;
  ${plainKeys(spec)} {
    if (!(${visible(spec, 'key', 'row')})) { continue; }
    let k = ${at('u.keyRows', 'key', width)};
    ${dot4(spec, 'q_data[q + e]', 'k_data[k + e]')}
    let next = max(top, t * u.scale);
    let fade = exp(top - next);
    let p = exp(t * u.scale - next);
    top = next; sum = sum * fade + p;
    for (var e = 0u; e < ${width / 4}u; e++) { o[e] = o[e] * fade + p * ${vectorOf(type, 'v_data[k + e]')}; }
  }
  let inverse = select(0.0, 1.0 / sum, sum > 0.0);
  for (var e = 0u; e < ${width / 4}u; e++) { o_data[q + e] = ${storedVector(type, 'o[e] * inverse')}; }
  lse[(b * u.heads + h) * u.queries + row] = select(1e30, top + log(sum), sum > 0.0);
}`;
}

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
    o_data: `write ${elementType(spec.type, 4)}` as Binding,
    lse: 'write f32',
  }),
  uniforms,
  enables,
  code: (spec) => (spec.lanes ? forwardShared(spec) : forwardPlain(spec)),
  flops: pairFlops(2),
  examples,
});
