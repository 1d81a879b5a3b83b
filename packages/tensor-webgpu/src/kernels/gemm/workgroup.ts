import { storeFunction } from './epilogue.ts';
import { blockLoaders } from './operands.ts';
import { type GemmSpec, lanesOf, prologue, range } from './spec.ts';
import { stagedLoop } from './staging.ts';

export interface WorkgroupTile {
  /** Rows and columns of C that a workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** K of one step. */
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

/** WGSL: registers to workgroup memory, k-major. */
const keepBlock =
  ({ rows, columns }: WorkgroupTile) =>
  (i: number, side: 'a' | 'b'): string => {
    const quads = (side === 'a' ? rows : columns) / 4;
    return range(4)
      .map((j) => `tile_${side}[(depth + ${j}u) * ${quads}u + quad] = staged${i}[${j}];`)
      .join(' ');
  };

/** Distance between the quads of an invocation along a side. */
const spread = (quad: number, side: number, each: number): number => (quad * 4 * side) / each;

/** WGSL: one step of the tile's product. */
function multiply({ rows, columns, depth, rowsEach, columnsEach }: WorkgroupTile): string {
  const [quadsA, quadsB] = [range(rowsEach / 4), range(columnsEach / 4)];
  const loads = [
    ...quadsA.map((q) => `let a${q} = tile_a[kk * ${rows / 4}u + ${spread(q, rows, rowsEach) / 4}u + ty];`),
    ...quadsB.map((q) => `let b${q} = tile_b[kk * ${columns / 4}u + ${spread(q, columns, columnsEach) / 4}u + tx];`),
  ];
  const products = range(rowsEach).flatMap((r) =>
    quadsB.map((q) => `c${r}_${q} += a${Math.floor(r / 4)}.${lanesOf[r % 4]} * b${q};`),
  );
  return `for (var kk = 0u; kk < ${depth}u; kk++) {
      ${[...loads, ...products].join('\n      ')}
    }`;
}

/** A workgroup computes a tile of C; A and B pass through workgroup memory. */
export function workgroupCode(spec: WorkgroupSpec): string {
  const { rows, columns, depth, rowsEach, columnsEach } = spec;
  const threads = workgroupThreads(spec);
  const across = columns / columnsEach;
  const sums = range(rowsEach).flatMap((r) => range(columnsEach / 4).map((q) => ({ r, q, name: `c${r}_${q}` })));
  const rowOf = (r: number): string => `row0 + ${spread(Math.floor(r / 4), rows, rowsEach) + (r % 4)}u + ty * 4u`;
  const columnOf = (q: number): string => `column0 + ${spread(q, columns, columnsEach)}u + tx * 4u`;
  return `${blockLoaders(spec)}
${storeFunction(spec, 4, true)}
var<workgroup> tile_a: array<vec4<f32>, ${(depth * rows) / 4}>;
var<workgroup> tile_b: array<vec4<f32>, ${(depth * columns) / 4}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let tx = local % ${across}u; let ty = local / ${across}u;
  let row0 = group.y * ${rows}u; let column0 = group.x * ${columns}u;
  ${prologue(spec)}
  ${sums.map(({ name }) => `var ${name} = vec4<f32>(0.0);`).join(' ')}
  ${stagedLoop({ rows, columns, depth, threads }, { keep: keepBlock(spec), multiply: multiply(spec) })}
  ${sums.map(({ r, q, name }) => `store(${rowOf(r)}, ${columnOf(q)}, base_c, ${name});`).join('\n  ')}
}`;
}
