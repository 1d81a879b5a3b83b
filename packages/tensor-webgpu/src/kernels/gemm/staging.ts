import { range } from './spec.ts';

/** A tile whose operands pass through workgroup memory, and the invocations that bring them there. */
export interface Staged {
  /** Rows and columns of C that a workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** K of one step: what lies in workgroup memory at a time. */
  readonly depth: number;
  readonly threads: number;
}

type Side = 'a' | 'b';

/** Side of C that an operand's blocks run along. */
const sideOf = ({ rows, columns }: Staged, side: Side): number => (side === 'a' ? rows : columns);

/** Runs a statement for each 4x4 block of A's and B's tile that this invocation stages; blocks of A come first. */
function eachBlock(tile: Staged, statement: (i: number, side: Side) => string): string {
  const { rows, columns, depth, threads } = tile;
  const [blocksA, blocks] = [(rows * depth) / 16, ((rows + columns) * depth) / 16];
  const placed = (i: number, side: Side): string =>
    `{ let block = local + ${i * threads}u - ${side === 'a' ? 0 : blocksA}u; let quad = block % ${sideOf(tile, side) / 4}u; let depth = block / ${sideOf(tile, side) / 4}u * 4u; ${statement(i, side)} }`;
  const both = (i: number): string => {
    if ((i + 1) * threads <= blocksA) return placed(i, 'a');
    if (i * threads >= blocksA) return placed(i, 'b');
    return `if (local + ${i * threads}u < ${blocksA}u) ${placed(i, 'a')} else ${placed(i, 'b')}`;
  };
  return range(Math.ceil(blocks / threads))
    .map((i) => ((i + 1) * threads <= blocks ? both(i) : `if (local + ${i * threads}u < ${blocks}u) { ${both(i)} }`))
    .join('\n    ');
}

/** A step's loop: blocks of the next step are fetched into registers while this one's are multiplied. `keep` stores block `staged<i>`, `multiply` runs on what is stored. */
export function stagedLoop(
  tile: Staged,
  { keep, multiply }: { keep: (i: number, side: Side) => string; multiply: string },
): string {
  const fetch = eachBlock(
    tile,
    (i, side) =>
      `staged${i} = block_${side}(${side === 'a' ? 'row0' : 'column0'} + quad * 4u, k + depth, base_${side});`,
  );
  const blocks = range(Math.ceil(((tile.rows + tile.columns) * tile.depth) / 16 / tile.threads));
  return `${blocks.map((i) => `var staged${i}: mat4x4<f32>;`).join(' ')}
  var k = k0;
  ${fetch}
  while (k < k1) {
    workgroupBarrier();
    ${eachBlock(tile, keep)}
    workgroupBarrier();
    k += ${tile.depth}u;
    if (k < k1) {
    ${fetch}
    }
    ${multiply}
  }`;
}
