import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { philoxSnippet } from './random.wgsl.ts';
import { flatGroup, flatParameters, foldLanes, laneParameters, type RowLanes, sumLanes } from './snippets.ts';
import { elementAt, elementType, type FloatStorage, type SingleStorage, vectorOf } from './storage.ts';

interface RowSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Rows are whole vectors. */
  readonly vector: boolean;
}

interface SelectSpec extends RowSpec, RowLanes {
  readonly topK: boolean;
  readonly topP: boolean;
  /** How filtered logits are stored. */
  readonly stored: SingleStorage;
  /** The filtered logits, or one index a row drawn from them. */
  readonly result: 'logits' | 'index';
  /** Writes what share the drawn one has of the probability that is kept. */
  readonly confidence: boolean;
  /** k, p and the temperature come from a buffer. */
  readonly given: boolean;
}

const parts = ['x', 'y', 'z', 'w'] as const;
const each = (statement: (part: string, j: number) => string): string => parts.map(statement).join(' ');

/**
 * WGSL: four neighbours of a row with their keys. Keys are words in the order of the floats (-0 = 0);
 * beyond the end the key is the largest word, which no candidate exceeds, and the value the lowest float.
 */
const rowSnippet = ({ vector, type }: RowSpec): string => `
const lowest = -3.4028234e38;
fn load(row: u32, i: u32) -> vec4<f32> {
  ${
    vector
      ? `return ${vectorOf(type, 'x[row * u.V / 4u + i]')};`
      : `let last = u.V - 1u; let base = row * u.V;
  return vec4<f32>(${[0, 1, 2, 3].map((j) => `select(lowest, ${elementAt(type, 'x', `base + min(4u * i + ${j}u, last)`)}, 4u * i + ${j}u <= last)`).join(', ')});`
  }
}
fn keys(value: vec4<f32>, i: u32) -> vec4<u32> {
  let bits = bitcast<vec4<u32>>(select(value, vec4<f32>(0.0), value == vec4<f32>(0.0)));
  let key = select(bits | vec4<u32>(0x80000000u), ~bits, (bits >> vec4<u32>(31u)) == vec4<u32>(1u));
  ${vector ? 'return key;' : 'return select(vec4<u32>(0xffffffffu), key, vec4<u32>(4u * i, 4u * i + 1u, 4u * i + 2u, 4u * i + 3u) < vec4<u32>(u.V));'}
}`;

/** Words of workgroup memory that keep the elements which a search has not ruled out. */
const heldWords = 2048;
const capacity = ({ group }: RowLanes): string => `${Math.floor(heldWords / group)}u`;

const quads = [0, 1, 2, 3];
const count = (q: number): string => `select(none, ${q < 3 ? 'one' : 'vec4<u32>(1u, 1u, 1u, 0u)'}, m${q} <= most)`;

/** WGSL: adds the weights of four keys below each candidate, of keys that are still in question; and lists these keys. */
const weigh = (spec: SelectSpec, weight: string, list: boolean): string => `
      let inside = (key >= vec4<u32>(floor_key)) & (key <= vec4<u32>(0xff800000u)) & (((key >> vec4<u32>(window)) == vec4<u32>(prefix >> window)) | vec4<bool>(round == 0u));
      let weight = select(vec4<f32>(0.0), ${weight}, inside);
      ${list ? each((part) => `if (inside.${part}) { if (kept < ${capacity(spec)}) { held[kept * ${spec.group}u + local] = key.${part}; } kept++; }`) : ''}
      ${each((part) => `{ let k = vec4<u32>(key.${part}); let w = vec4<f32>(weight.${part}); ${quads.map((q) => `m${q} += select(vec4<f32>(0.0), w, k < c${q});`).join(' ')} }`)}`;

/**
 * WGSL: the largest key T such that the weight of elements with a smaller key is at most the budget, found four bits a round:
 * the weights below 15 candidates are summed in one pass, and are monotone in the candidate. Elements below the floor weigh nothing.
 * From the second round on, or the first where there is a floor, a lane lists those of its elements that later rounds can still tell apart, and reads the list
 * instead of the row as long as it fits; each round leaves a sixteenth or so.
 */
const searchFunction = (spec: SelectSpec, name: string, weight: string, firstListed: 0 | 1): string => `
fn ${name}(row: u32, own: u32, local: u32, top: f32, floor_key: u32, budget: f32) -> u32 {
  var prefix = 0u; var base = 0.0; var listed = false; var length = 0u;
  for (var round = 0u; round < 8u; round++) {
    let shift = vec4<u32>(28u - 4u * round);
    let window = min(shift.x + 4u, 31u);
    let c0 = prefix + (vec4<u32>(1u, 2u, 3u, 4u) << shift); let c1 = prefix + (vec4<u32>(5u, 6u, 7u, 8u) << shift);
    let c2 = prefix + (vec4<u32>(9u, 10u, 11u, 12u) << shift); let c3 = prefix + (vec4<u32>(13u, 14u, 15u, 15u) << shift);
    var m0 = vec4<f32>(0.0); var m1 = m0; var m2 = m0; var m3 = m0;
    var kept = 0u;
    ${firstListed ? `for (var i = select(own, u.vectors, round > 0u); i < u.vectors; i += ${spec.lanes}u) { let key = keys(load(row, i), i); ${weigh(spec, weight, false)} }` : ''}
    for (var i = select(own, u.vectors, listed || round < ${firstListed}u); i < u.vectors; i += ${spec.lanes}u) { let key = keys(load(row, i), i); ${weigh(spec, weight, true)} }
    for (var i = select(length, 0u, listed); i < length; i += 4u) {
      var key: vec4<u32>;
      ${each((part, j) => `key.${part} = held[min(i + ${j}u, ${capacity(spec)} - 1u) * ${spec.group}u + local];`)}
      key = select(vec4<u32>(0xffffffffu), key, vec4<u32>(i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(length));
      ${weigh(spec, weight, true)}
    }
    listed = round >= ${firstListed}u && kept <= ${capacity(spec)}; length = kept;
    ${quads.map((q) => `${sumLanes(spec, `m${q}`)} m${q} += base;`).join(' ')}
    let most = vec4<f32>(budget); let one = vec4<u32>(1u); let none = vec4<u32>(0u);
    let n4 = ${quads.map(count).join(' + ')};
    let n = n4.x + n4.y + n4.z + n4.w;
    prefix += n << shift.x;
    if (n > 0u) { let all = array<vec4<f32>, 4>(m0, m1, m2, m3); base = all[(n - 1u) / 4u][(n - 1u) % 4u]; }
  }
  return prefix;
}`;

/** WGSL: exp(value - top) of live elements that top-k keeps, by value or by key. */
const weightFunction = `
var<private> sharpness: f32;
fn weights(value: vec4<f32>, key: vec4<u32>, top: f32, floor_key: u32) -> vec4<f32> {
  let live = (key >= vec4<u32>(floor_key)) & (value > vec4<f32>(-3.0e38));
  return select(vec4<f32>(0.0), exp((value - top) * sharpness), live);
}
fn key_weights(key: vec4<u32>, top: f32) -> vec4<f32> {
  let value = bitcast<vec4<f32>>(select(~key, key ^ vec4<u32>(0x80000000u), (key >> vec4<u32>(31u)) == vec4<u32>(1u)));
  return select(vec4<f32>(0.0), exp((value - top) * sharpness), value > vec4<f32>(-3.0e38));
}`;

/** Keeps elements above the cut, and of those equal to it all but the first `drops` of the row; goes through the lane's block of neighbours. */
const keptLoop = (body: (part: string, j: number) => string): string => `
  var ties = ties_before;
  for (var i = block; i < block_end; i++) {
    let value = load(row, i); let key = keys(value, i);
    let weight = weights(value, key, top, floor_key);
    ${each(
      (part, j) =>
        `{ let tie = key.${part} == cut; let kept = key.${part} > cut || (tie && ties >= drops); ties += select(0u, 1u, tie); ${body(part, j)} }`,
    )}
  }`;

/** WGSL: k, p and temperature as the options mean them, 0 keeping all. */
const givenNumbers = `
  sharpness = 1.0 / numbers[2];
  let k = select(min(u32(numbers[0]), u.V), u.V, numbers[0] == 0.0);
  let dropped = select(1.0 - numbers[1], 0.0, numbers[1] == 0.0);`;

/** Elements beyond V exist only where rows are not whole vectors. */
const inside = ({ vector }: RowSpec, j: number, statement: string): string =>
  vector ? statement : `if (4u * i + ${j}u < u.V) { ${statement} }`;

const writeLogits = (spec: SelectSpec): string =>
  `if (live) { ${keptLoop((part, j) =>
    inside(
      spec,
      j,
      `y[row * u.V + 4u * i + ${j}u] = ${spec.stored}(select(bitcast<f32>(u.minusInfinity), value.${part}, kept));`,
    ),
  )} }`;

/** WGSL: sums of a variable over the lanes before this one, in their order. */
const sumBefore = ({ lanes }: RowLanes, name: string, type: 'f32' | 'u32'): string =>
  lanes === 1
    ? `let ${name}_before = ${type}(0);`
    : `var ${name}_before = ${type}(0);
  for (var lane = 0u; lane < ${lanes}u; lane++) { let other = subgroupShuffle(${name}, lane); if (lane < own) { ${name}_before += other; } }`;

/**
 * Lanes own blocks of neighbours, so that a lane whose block starts below the goal either passes it or holds the last element so far;
 * the last of these lanes is right.
 */
const drawIndex = (spec: SelectSpec): string => `
  let seed = row / u.perSeed;
  let number = u.offset + row % u.perSeed;
  let part = uniforms(philox(vec4<u32>(number / 4u, 0u, u.stream, 0u), seeds[seed]))[number % 4u];
  let goal = part * (above + f32(count - drops) * tied);
  let own_drops = clamp(drops, ties_before, ties_before + own_count) - ties_before;
  let mass = own_above + f32(own_count - own_drops) * tied;
  ${sumBefore(spec, 'mass', 'f32')}
  var sum = mass_before; var at = 0u; var found = false;
  if (mass > 0.0 && sum <= goal) {
  ${keptLoop((component, j) =>
    inside(
      spec,
      j,
      `if (kept && !found && weight.${component} > 0.0) { at = 4u * i + ${j}u; sum += weight.${component}; found = sum > goal; }`,
    ),
  )}
  }
  ${foldLanes(spec, 'at', (a, b) => `max(${a}, ${b})`)}
  if (live && own == 0u) { y[row] = at; ${spec.confidence ? writeConfidence : ''} }`;

/** The share of the drawn element in what is kept. */
const writeConfidence = `
    let chosen = load(row, at / 4u);
    let kept_mass = above + f32(count - drops) * tied;
    confidence[row] = select(0.0, weights(chosen, keys(chosen, at / 4u), top, floor_key)[at % 4u] / kept_mass, kept_mass > 0.0);`;

/**
 * Per row: keep the k largest with ties of the k-th, then drop the smallest while their running share of the probability is at most 1 - p, never the largest;
 * write the others (dropped ones as -infinity), or draw one by the inverse of the cumulative distribution, and write its share if asked.
 * x: [R, V] logits, y: [R, V] or [R], confidence: [R].  A subgroup a row, or one invocation: it searches thresholds by bits instead of sorting.
 */
export const selectKernel: Kernel<SelectSpec> = defineKernel<SelectSpec>({
  name: 'select',
  bindings: ({ type, stored, vector, result, given, confidence }) => ({
    x: `read ${elementType(type, vector ? 4 : 1)}` as Binding,
    ...(result === 'index' && { seeds: 'read vec2<u32>' as Binding }),
    ...(given && { numbers: 'read f32' as Binding }),
    y: `write ${result === 'index' ? 'u32' : stored}` as Binding,
    ...(confidence && { confidence: 'write f32' as Binding }),
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
  enables: ({ shuffles }) => (shuffles ? ['subgroups'] : []),
  code: (spec) => `${rowSnippet(spec)}
${weightFunction}
${spec.topK || spec.topP ? `var<workgroup> held: array<u32, ${heldWords}>;` : ''}
${spec.topK ? searchFunction(spec, 'rank_search', 'vec4<f32>(1.0)', 1) : ''}
${spec.topP ? searchFunction(spec, 'mass_search', 'key_weights(key, top)', spec.topK ? 0 : 1) : ''}
${spec.result === 'index' ? philoxSnippet : ''}
@compute @workgroup_size(${spec.group})
fn main(${laneParameters(spec)}) {
  let own = local % ${spec.lanes}u;
  let asked = (${flatGroup}) * ${spec.group / spec.lanes}u + local / ${spec.lanes}u;
  let live = asked < u.rows;
  let row = min(asked, u.rows - 1u);
  ${spec.given ? givenNumbers : 'sharpness = u.sharpness; let k = u.k; let dropped = u.dropped;'}
  var peak = vec4<f32>(lowest);
  for (var i = own; i < u.vectors; i += ${spec.lanes}u) { peak = max(peak, load(row, i)); }
  var top = max(max(peak.x, peak.y), max(peak.z, peak.w));
  ${foldLanes(spec, 'top', (a, b) => `max(${a}, ${b})`)}
  let top_key = keys(vec4<f32>(top), 0u).x;
  let floor_key = ${spec.topK ? 'rank_search(row, own, local, top, 0u, f32(u.V - k))' : '0u'};
  ${
    spec.topP
      ? `var masses = vec4<f32>(0.0);
  for (var i = own; i < u.vectors; i += ${spec.lanes}u) { let value = load(row, i); masses += weights(value, keys(value, i), top, floor_key); }
  var total = masses.x + masses.y + masses.z + masses.w;
  ${sumLanes(spec, 'total')}
  let budget = dropped * total;
  let cut = min(mass_search(row, own, local, top, floor_key, budget), top_key);`
      : 'let budget = 0.0; let cut = floor_key;'
  }
  let block_size = (u.vectors + ${spec.lanes - 1}u) / ${spec.lanes}u;
  let block = min(own * block_size, u.vectors); let block_end = min(block + block_size, u.vectors);
  var below = 0.0; var own_above = 0.0; var tied = 0.0; var own_count = 0u;
  for (var i = block; i < block_end; i++) {
    let value = load(row, i); let key = keys(value, i);
    let weight = weights(value, key, top, floor_key);
    ${each((part) => `if (key.${part} < cut) { below += weight.${part}; } else if (key.${part} > cut) { own_above += weight.${part}; } else { tied = weight.${part}; own_count++; }`)}
  }
  var above = own_above; var count = own_count;
  ${sumLanes(spec, 'below')} ${sumLanes(spec, 'above')} ${sumLanes(spec, 'count')}
  ${foldLanes(spec, 'tied', (a, b) => `max(${a}, ${b})`)}
  ${sumBefore(spec, 'own_count', 'u32')}
  let ties_before = own_count_before;
  let drops = ${spec.topP ? 'select(0u, min(u32(max(budget - below, 0.0) / max(tied, 1e-38)), max(count, 1u) - 1u), tied > 0.0)' : '0u'};
  ${spec.result === 'index' ? drawIndex(spec) : writeLogits(spec)}
}`,
  examples: [
    {
      type: 'f32',
      vector: true,
      topK: true,
      topP: true,
      stored: 'f32',
      result: 'logits',
      confidence: false,
      given: true,
      group: 8,
      lanes: 8,
      shuffles: true,
    },
    {
      type: 'f16',
      vector: false,
      topK: false,
      topP: true,
      stored: 'f16',
      result: 'logits',
      confidence: false,
      given: false,
      group: 8,
      lanes: 1,
      shuffles: false,
    },
    {
      type: 'f32',
      vector: false,
      topK: true,
      topP: true,
      stored: 'f32',
      result: 'index',
      confidence: false,
      given: false,
      group: 32,
      lanes: 32,
      shuffles: true,
    },
    {
      type: 'f16',
      vector: true,
      topK: false,
      topP: false,
      stored: 'f32',
      result: 'index',
      confidence: false,
      given: true,
      group: 8,
      lanes: 1,
      shuffles: false,
    },
    {
      type: 'packed',
      vector: false,
      topK: true,
      topP: true,
      stored: 'f32',
      result: 'index',
      confidence: true,
      given: false,
      group: 8,
      lanes: 8,
      shuffles: true,
    },
  ],
});

/**
 * y[row, rank] = i, where rank is the number of elements of the row that are larger than element i, or equal with a lower index.  x: [R, V], y: [R, k].
 * One invocation an element: it counts its betters, so that no sort is needed.
 */
export const topKKernel: Kernel<RowSpec> = defineKernel<RowSpec>({
  name: 'top-k',
  bindings: ({ type, vector }) => ({ x: `read ${elementType(type, vector ? 4 : 1)}` as Binding, y: 'write u32' }),
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
    { type: 'packed', vector: true },
  ],
});
