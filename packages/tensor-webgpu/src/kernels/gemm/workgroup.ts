import { storeFunction } from './epilogue.ts';
import { blockLoaders, unpackFunctions } from './operands.ts';
import { type GemmSpec, lanesOf, prologue, range } from './spec.ts';

export interface WorkgroupTile {
  /** Rows and columns of C that a workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** K of one step: what lies in workgroup memory at a time. */
  readonly depth: number;
  /** Rows and columns of C that one invocation computes, multiples of 4: each quad of 4 lies apart from the next, so that neighbours read neighbours. */
  readonly rowsEach: number;
  readonly columnsEach: number;
}

export type WorkgroupSpec = GemmSpec & WorkgroupTile;

/** Invocations of a tile's workgroup. */
export const workgroupThreads = ({ rows, columns, rowsEach, columnsEach }: WorkgroupTile): number =>
  (rows / rowsEach) * (columns / columnsEach);

/** Bytes of workgroup memory that a tile takes. */
export const workgroupBytes = ({ rows, columns, depth }: WorkgroupTile): number => 4 * depth * (rows + columns);

/** Runs a statement for each 4x4 block of A's and B's tile that this invocation stages; blocks of A come first. */
function eachBlock(tile: WorkgroupTile, statement: (i: number, side: 'a' | 'b', first: number) => string): string {
  const { rows, columns, depth } = tile;
  const [threads, blocksA, blocks] = [workgroupThreads(tile), (rows * depth) / 16, ((rows + columns) * depth) / 16];
  return range(Math.ceil(blocks / threads))
    .map((i) => {
      const [first, last] = [i * threads, (i + 1) * threads];
      const [a, b] = [`{ ${statement(i, 'a', 0)} }`, `{ ${statement(i, 'b', blocksA)} }`];
      const either = `if (local + ${first}u < ${blocksA}u) ${a} else ${b}`;
      const body = last <= blocksA ? a : first >= blocksA ? b : either;
      return last <= blocks ? body : `if (local + ${first}u < ${blocks}u) { ${body} }`;
    })
    .join('\n    ');
}

/** WGSL: global memory to registers. */
const fetch = (tile: WorkgroupTile): string =>
  eachBlock(tile, (i, side, first) => {
    const quads = (side === 'a' ? tile.rows : tile.columns) / 4;
    const origin = side === 'a' ? 'row0' : 'column0';
    const block = `local + ${i * workgroupThreads(tile)}u - ${first}u`;
    return `let block = ${block}; staged${i} = block_${side}(${origin} + block % ${quads}u * 4u, k + block / ${quads}u * 4u, base_${side});`;
  });

/** WGSL: registers to workgroup memory, k-major. */
const keep = (tile: WorkgroupTile): string =>
  eachBlock(tile, (i, side, first) => {
    const quads = (side === 'a' ? tile.rows : tile.columns) / 4;
    const block = `local + ${i * workgroupThreads(tile)}u - ${first}u`;
    const stores = range(4).map((j) => `tile_${side}[at + ${j * quads}u] = staged${i}[${j}];`);
    return `let block = ${block}; let at = block / ${quads}u * ${4 * quads}u + block % ${quads}u; ${stores.join(' ')}`;
  });

/** WGSL: one k of the tile's product. */
function step({ rows, columns, rowsEach, columnsEach }: WorkgroupTile): string {
  const [quadsA, quadsB] = [range(rowsEach / 4), range(columnsEach / 4)];
  const spread = (q: number, side: number, each: number): number => (q * side) / each;
  const loads = [
    ...quadsA.map((q) => `let a${q} = tile_a[kk * ${rows / 4}u + ${spread(q, rows, rowsEach)}u + ty];`),
    ...quadsB.map((q) => `let b${q} = tile_b[kk * ${columns / 4}u + ${spread(q, columns, columnsEach)}u + tx];`),
  ];
  const products = range(rowsEach).flatMap((r) =>
    quadsB.map((q) => `c${r}_${q} += a${Math.floor(r / 4)}.${lanesOf[r % 4]} * b${q};`),
  );
  return [...loads, ...products].join('\n      ');
}

/** A workgroup computes a tile of C; A and B pass through workgroup memory, and the next step's blocks are fetched while this one's are multiplied. */
export function workgroupCode(spec: WorkgroupSpec): string {
  const { rows, columns, depth, rowsEach, columnsEach } = spec;
  const threads = workgroupThreads(spec);
  const across = columns / columnsEach;
  const quadsB = range(columnsEach / 4);
  const sums = range(rowsEach).flatMap((r) => quadsB.map((q) => ({ r, q })));
  const blocks = range(Math.ceil(((rows + columns) * depth) / 16 / threads));
  const quadRow = (r: number): string => `row0 + ${(Math.floor(r / 4) * 4 * rows) / rowsEach}u + ty * 4u + ${r % 4}u`;
  const quadColumn = (q: number): string => `column0 + ${(q * 4 * columns) / columnsEach}u + tx * 4u`;
  return `${unpackFunctions}
${blockLoaders(spec)}
${storeFunction(spec, 4, true)}
var<workgroup> tile_a: array<vec4<f32>, ${(depth * rows) / 4}>;
var<workgroup> tile_b: array<vec4<f32>, ${(depth * columns) / 4}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let tx = local % ${across}u; let ty = local / ${across}u;
  let row0 = group.y * ${rows}u; let column0 = group.x * ${columns}u;
  ${prologue}
  ${sums.map(({ r, q }) => `var c${r}_${q} = vec4<f32>(0.0);`).join(' ')}
  ${blocks.map((i) => `var staged${i}: mat4x4<f32>;`).join(' ')}
  var k = k0;
  ${fetch(spec)}
  while (k < k1) {
    workgroupBarrier();
    ${keep(spec)}
    workgroupBarrier();
    k += ${depth}u;
    if (k < k1) {
    ${fetch(spec)}
    }
    for (var kk = 0u; kk < ${depth}u; kk++) {
      ${step(spec)}
    }
  }
  ${sums.map(({ r, q }) => `store(${quadRow(r)}, ${quadColumn(q)}, base_c, c${r}_${q});`).join('\n  ')}
}`;
}
