import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { philoxSnippet } from './random.wgsl.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface RowSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
  /** Rows are whole vectors. */
  readonly vector: boolean;
}

export interface SelectSpec extends RowSpec {
  readonly topK: boolean;
  readonly topP: boolean;
  /** The filtered logits, or one index a row drawn from them. */
  readonly result: 'logits' | 'index';
}

/** Rows that one workgroup of the filter handles: few, so that small scales still spread over cores. */
export const rowsPerSelectGroup = 8;

const parts = ['x', 'y', 'z', 'w'] as const;
const each = (statement: (part: string, j: number) => string): string => parts.map(statement).join(' ');

/**
 * WGSL: four neighbours of a row with their keys. Keys are words in the order of the floats (-0 = 0);
 * beyond the end the key is the largest word, which no candidate exceeds, and the value the lowest float.
 */
const rowSnippet = ({ vector }: RowSpec): string => `
const lowest = -3.4028234e38;
fn load(row: u32, i: u32) -> vec4<f32> {
  ${
    vector
      ? 'return vec4<f32>(x[row * u.V / 4u + i]);'
      : `let last = u.V - 1u; let base = row * u.V;
  return vec4<f32>(${[0, 1, 2, 3].map((j) => `select(lowest, f32(x[base + min(4u * i + ${j}u, last)]), 4u * i + ${j}u <= last)`).join(', ')});`
  }
}
fn keys(value: vec4<f32>, i: u32) -> vec4<u32> {
  let bits = bitcast<vec4<u32>>(select(value, vec4<f32>(0.0), value == vec4<f32>(0.0)));
  let key = select(bits | vec4<u32>(0x80000000u), ~bits, (bits >> vec4<u32>(31u)) == vec4<u32>(1u));
  ${vector ? 'return key;' : 'return select(vec4<u32>(0xffffffffu), key, vec4<u32>(4u * i, 4u * i + 1u, 4u * i + 2u, 4u * i + 3u) < vec4<u32>(u.V));'}
}`;

/**
 * WGSL: the largest key T such that the weight of elements with a smaller key is at most the budget, found four bits a round:
 * the weights below 15 candidates are summed in one pass over the row, and are monotone in the candidate.
 */
const searchFunction = (name: string, weight: string): string => `
fn ${name}(row: u32, top: f32, floor_key: u32, budget: f32) -> u32 {
  var prefix = 0u;
  for (var round = 0u; round < 8u; round++) {
    let shift = vec4<u32>(28u - 4u * round);
    let c0 = prefix + (vec4<u32>(1u, 2u, 3u, 4u) << shift); let c1 = prefix + (vec4<u32>(5u, 6u, 7u, 8u) << shift);
    let c2 = prefix + (vec4<u32>(9u, 10u, 11u, 12u) << shift); let c3 = prefix + (vec4<u32>(13u, 14u, 15u, 15u) << shift);
    var m0 = vec4<f32>(0.0); var m1 = m0; var m2 = m0; var m3 = m0;
    for (var i = 0u; i < u.vectors; i++) {
      let value = load(row, i); let key = keys(value, i);
      let weight = ${weight};
      ${each((part) => `{ let k = vec4<u32>(key.${part}); let w = vec4<f32>(weight.${part}); ${[0, 1, 2, 3].map((q) => `m${q} += select(vec4<f32>(0.0), w, k < c${q});`).join(' ')} }`)}
    }
    let most = vec4<f32>(budget); let one = vec4<u32>(1u); let none = vec4<u32>(0u);
    let n = select(none, one, m0 <= most) + select(none, one, m1 <= most) + select(none, one, m2 <= most) + select(none, vec4<u32>(1u, 1u, 1u, 0u), m3 <= most);
    prefix += (n.x + n.y + n.z + n.w) << shift.x;
  }
  return prefix;
}`;

/** WGSL: exp(value - top) of live elements that top-k keeps. */
const weightFunction = `
fn weights(value: vec4<f32>, key: vec4<u32>, top: f32, floor_key: u32) -> vec4<f32> {
  let live = (key >= vec4<u32>(floor_key)) & (value > vec4<f32>(-3.0e38));
  return select(vec4<f32>(0.0), exp((value - top) * u.sharpness), live);
}`;

/** Keeps elements above the cut, and of those equal to it all but the first `drops`. */
const keptLoop = (body: (part: string, j: number) => string): string => `
  var ties = 0u;
  for (var i = 0u; i < u.vectors; i++) {
    let value = load(row, i); let key = keys(value, i);
    let weight = weights(value, key, top, floor_key);
    ${each(
      (part, j) =>
        `{ let tie = key.${part} == cut; let kept = key.${part} > cut || (tie && ties >= drops); ties += select(0u, 1u, tie); ${body(part, j)} }`,
    )}
  }`;

/** Elements beyond V exist only where rows are not whole vectors. */
const inside = ({ vector }: RowSpec, j: number, statement: string): string =>
  vector ? statement : `if (4u * i + ${j}u < u.V) { ${statement} }`;

const writeLogits = (spec: SelectSpec): string =>
  keptLoop((part, j) =>
    inside(
      spec,
      j,
      `y[row * u.V + 4u * i + ${j}u] = ${spec.type}(select(bitcast<f32>(u.minusInfinity), value.${part}, kept));`,
    ),
  );

const drawIndex = (spec: SelectSpec): string => `
  let own = row / u.perSeed;
  let number = u.offset + row % u.perSeed;
  let part = uniforms(philox(vec4<u32>(number / 4u, 0u, u.stream, 0u), seeds[own]))[number % 4u];
  let goal = part * (above + f32(count - drops) * tied);
  var sum = 0.0; var at = 0u; var found = false;
  ${keptLoop((component, j) =>
    inside(
      spec,
      j,
      `if (kept && !found && weight.${component} > 0.0) { at = 4u * i + ${j}u; sum += weight.${component}; found = sum > goal; }`,
    ),
  )}
  y[row] = at;`;

/**
 * Per row: keep the k largest with ties of the k-th, then drop the smallest while their running share of the probability is at most 1 - p, never the largest;
 * write the others (dropped ones as -infinity), or draw one by the inverse of the cumulative distribution.
 * x: [R, V] logits, y: [R, V] or [R].  One invocation a row: it searches thresholds by bits instead of sorting.
 */
export const selectKernel: Kernel<SelectSpec> = defineKernel<SelectSpec>({
  name: 'select',
  bindings: ({ type, vector, result }) => ({
    x: `read ${vector ? `vec4<${type}>` : type}` as Binding,
    ...(result === 'index' && { seeds: 'read vec2<u32>' as Binding }),
    y: `write ${result === 'index' ? 'u32' : type}` as Binding,
  }),
  uniforms: {
    rows: 'u32',
    V: 'u32',
    vectors: 'u32',
    k: 'u32',
    dropped: 'f32',
    sharpness: 'f32',
    minusInfinity: 'u32',
    perSeed: 'u32',
    stream: 'u32',
    offset: 'u32',
  },
  code: (spec) => `${rowSnippet(spec)}
${weightFunction}
${spec.topK ? searchFunction('rank_search', 'vec4<f32>(1.0)') : ''}
${spec.topP ? searchFunction('mass_search', 'weights(value, key, top, floor_key)') : ''}
${spec.result === 'index' ? philoxSnippet : ''}
@compute @workgroup_size(${rowsPerSelectGroup})
fn main(${flatParameters}) {
  let row = (${flatGroup}) * ${rowsPerSelectGroup}u + local;
  if (row >= u.rows) { return; }
  var peak = vec4<f32>(lowest);
  for (var i = 0u; i < u.vectors; i++) { peak = max(peak, load(row, i)); }
  let top = max(max(peak.x, peak.y), max(peak.z, peak.w));
  let top_key = keys(vec4<f32>(top), 0u).x;
  let floor_key = ${spec.topK ? 'rank_search(row, top, 0u, f32(u.V - u.k))' : '0u'};
  ${
    spec.topP
      ? `var mass = vec4<f32>(0.0);
  for (var i = 0u; i < u.vectors; i++) { let value = load(row, i); mass += weights(value, keys(value, i), top, floor_key); }
  let budget = u.dropped * (mass.x + mass.y + mass.z + mass.w);
  let cut = min(mass_search(row, top, floor_key, budget), top_key);`
      : 'let budget = 0.0; let cut = floor_key;'
  }
  var below = 0.0; var above = 0.0; var tied = 0.0; var count = 0u;
  for (var i = 0u; i < u.vectors; i++) {
    let value = load(row, i); let key = keys(value, i);
    let weight = weights(value, key, top, floor_key);
    ${each((part) => `if (key.${part} < cut) { below += weight.${part}; } else if (key.${part} > cut) { above += weight.${part}; } else { tied = weight.${part}; count++; }`)}
  }
  let drops = ${spec.topP ? 'select(0u, min(u32(max(budget - below, 0.0) / max(tied, 1e-38)), max(count, 1u) - 1u), tied > 0.0)' : '0u'};
  ${spec.result === 'index' ? drawIndex(spec) : writeLogits(spec)}
}`,
  examples: [
    { type: 'f32', vector: true, topK: true, topP: true, result: 'logits' },
    { type: 'f16', vector: false, topK: false, topP: true, result: 'logits' },
    { type: 'f32', vector: false, topK: true, topP: false, result: 'index' },
    { type: 'f16', vector: true, topK: false, topP: false, result: 'index' },
  ],
});

/**
 * y[row, rank] = i, where rank is the number of elements of the row that are larger than element i, or equal with a lower index.  x: [R, V], y: [R, k].
 * One invocation an element: it counts its betters, so that no sort is needed.
 */
export const topKKernel: Kernel<RowSpec> = defineKernel<RowSpec>({
  name: 'top-k',
  bindings: ({ type, vector }) => ({ x: `read ${vector ? `vec4<${type}>` : type}` as Binding, y: 'write u32' }),
  uniforms: { count: 'u32', V: 'u32', vectors: 'u32', k: 'u32' },
  code: (spec) => `${rowSnippet(spec)}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let flat = (${flatGroup}) * 64u + local;
  if (flat >= u.count) { return; }
  let row = flat / u.V; let own = flat % u.V;
  let mine = vec4<u32>(keys(load(row, own / 4u), own / 4u)[own % 4u]);
  var betters = vec4<u32>(0u);
  for (var i = 0u; i < u.vectors; i++) {
    let key = keys(load(row, i), i);
    let place = vec4<u32>(4u * i, 4u * i + 1u, 4u * i + 2u, 4u * i + 3u);
    let better = (key > mine) | ((key == mine) & (place < vec4<u32>(own)));
    betters += select(vec4<u32>(0u), vec4<u32>(1u), better${spec.vector ? '' : ' & (place < vec4<u32>(u.V))'});
  }
  let rank = betters.x + betters.y + betters.z + betters.w;
  if (rank < u.k) { y[row * u.k + rank] = own; }
}`,
  examples: [
    { type: 'f32', vector: true },
    { type: 'f16', vector: false },
  ],
});
