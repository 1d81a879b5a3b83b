import { storeFunction } from './epilogue.ts';
import { blockLoaders } from './operands.ts';
import { type GemmSpec, prologue, range } from './spec.ts';
import { stagedLoop } from './staging.ts';

export interface MatrixTile {
  /** Rows and columns of C that a workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** K of one step. */
  readonly depth: number;
  /** Rows and columns of C that one subgroup computes. */
  readonly rowsEach: number;
  readonly columnsEach: number;
  /** The adapter's matrices: C is m x n, A m x k, B k x n. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Invocations of a subgroup. */
  readonly lanes: number;
  /** The language's extension: Dawn's experimental name, or the one of the standard. Both spell types and functions alike. */
  readonly syntax: 'chromium_experimental_subgroup_matrix' | 'subgroup_matrix';
}

export type MatrixSpec = GemmSpec & MatrixTile;

/** Halves between the rows of a tile in workgroup memory, so that neighbouring rows start in different banks. */
const padding = 8;

const subgroupsOf = ({ rows, columns, rowsEach, columnsEach }: MatrixTile): number =>
  (rows / rowsEach) * (columns / columnsEach);

/** Invocations of a tile's workgroup. */
export const matrixThreads = (tile: MatrixTile): number => subgroupsOf(tile) * tile.lanes;

/** Bytes of workgroup memory that a tile takes: operands as halves, and a matrix of C for each subgroup. */
export const matrixBytes = (tile: MatrixTile): number =>
  2 * tile.depth * (tile.rows + tile.columns + 2 * padding) + 4 * subgroupsOf(tile) * tile.m * tile.n;

/** WGSL: a block as halves into workgroup memory, k-major. */
const keepBlock =
  ({ rows, columns }: MatrixTile) =>
  (i: number, side: 'a' | 'b'): string => {
    const stride = (side === 'a' ? rows : columns) + padding;
    const at = (j: number, r: number): string => `tile_${side}[(depth + ${j}u) * ${stride}u + quad * 4u + ${r}u]`;
    return range(4)
      .flatMap((j) => range(4).map((r) => `${at(j, r)} = f16(staged${i}[${j}][${r}]);`))
      .join(' ');
  };

interface Matrices {
  readonly i: number;
  readonly j: number;
  readonly name: string;
}

/** The matrices of C that a subgroup sums. */
const sumsOf = ({ rowsEach, columnsEach, m, n }: MatrixTile): Matrices[] =>
  range(rowsEach / m).flatMap((i) => range(columnsEach / n).map((j) => ({ i, j, name: `c${i}_${j}` })));

/** WGSL: one step of the tile's product. A lies k-major, so its matrices are read by columns. */
function multiply(tile: MatrixTile): string {
  const { rows, columns, depth, rowsEach, columnsEach, m, n, k } = tile;
  const [strideA, strideB] = [rows + padding, columns + padding];
  const left = `subgroup_matrix_left<f16, ${k}, ${m}>`;
  const right = `subgroup_matrix_right<f16, ${n}, ${k}>`;
  const a = (i: number): string =>
    `let a${i} = subgroupMatrixLoad<${left}, col_major>(&tile_a, kk * ${strideA}u + row_in + ${i * m}u, ${strideA}u);`;
  const b = (j: number): string =>
    `let b${j} = subgroupMatrixLoad<${right}, row_major>(&tile_b, kk * ${strideB}u + column_in + ${j * n}u, ${strideB}u);`;
  const products = sumsOf(tile).map(
    ({ i, j, name }) => `${name} = subgroupMatrixMultiplyAccumulate(a${i}, b${j}, ${name});`,
  );
  return `for (var kk = 0u; kk < ${depth}u; kk += ${k}u) {
      ${[...range(rowsEach / m).map(a), ...range(columnsEach / n).map(b), ...products].join('\n      ')}
    }`;
}

/** WGSL: one matrix of sums through workgroup memory to C, as its elements have no other way out. */
const storeMatrix = ({ m, n, lanes }: MatrixTile, { i, j, name }: Matrices): string => `workgroupBarrier();
  subgroupMatrixStore<row_major>(&sums, subgroup * ${m * n}u, ${name}, ${n}u);
  workgroupBarrier();
  for (var e = lane * 4u; e < ${m * n}u; e += ${lanes * 4}u) {
    let at = subgroup * ${m * n}u + e;
    store(row0 + row_in + ${i * m}u + e / ${n}u, column0 + column_in + ${j * n}u + e % ${n}u, base_c, vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]));
  }`;

/** A workgroup computes a tile of C by its adapter's matrix units: halves in, f32 sums. */
export function matrixCode(spec: MatrixSpec): string {
  const { rows, columns, depth, rowsEach, columnsEach, m, n, lanes } = spec;
  const across = columns / columnsEach;
  const threads = matrixThreads(spec);
  return `${blockLoaders(spec)}
${storeFunction(spec, 4, true)}
var<workgroup> tile_a: array<f16, ${depth * (rows + padding)}>;
var<workgroup> tile_b: array<f16, ${depth * (columns + padding)}>;
var<workgroup> sums: array<f32, ${subgroupsOf(spec) * m * n}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32, @builtin(subgroup_id) subgroup: u32) {
  let lane = local % ${lanes}u;
  let row_in = subgroup / ${across}u * ${rowsEach}u; let column_in = subgroup % ${across}u * ${columnsEach}u;
  let row0 = group.y * ${rows}u; let column0 = group.x * ${columns}u;
  ${prologue(spec)}
  ${sumsOf(spec)
    .map(({ name }) => `var ${name} = subgroup_matrix_result<f32, ${n}, ${m}>();`)
    .join(' ')}
  ${stagedLoop({ rows, columns, depth, threads }, { keep: keepBlock(spec), multiply: multiply(spec) })}
  ${sumsOf(spec)
    .map((matrix) => storeMatrix(spec, matrix))
    .join('\n  ')}
}`;
}
