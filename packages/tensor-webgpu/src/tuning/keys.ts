import type { GemmProblem, GemmTile } from '../ops/gemm-plan.ts';

/** Sides below this count one by one: tiles of thin products depend on them. */
const exactBelow = 16;

/** A side, or the power of two next to it. */
const bucket = (side: number): number => (side < exactBelow ? side : 2 ** Math.round(Math.log2(side)));

/** Products that share a tuned tile: same layouts and dtype, sides alike to the next power of two. */
export function problemKey({ M, N, K, batch, sourceA, sourceB, dtype }: GemmProblem): string {
  return `${dtype} ${sourceA} ${sourceB} ${[M, N, K, batch].map(bucket).join('x')}`;
}

/** All numbers of a tile, whatever their order. */
export function tileKey(tile: GemmTile): string {
  const numbers = Object.entries(tile).filter(([name]) => name !== 'backend');
  const sorted = numbers.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name} ${value}`);
  return [tile.backend, ...sorted].join(' ');
}
