import type { Device } from '../device/device.ts';
import type { RowLanes } from '../kernels/snippets.ts';

/** Vectors that one lane may own: kernels unroll them, and long ones take minutes to compile on software adapters. */
const mostPieces = 4;
/** Invocations of a workgroup that shares rows through its memory. */
const plainGroup = 64;

/** Shares rows of so many vectors out: over lanes of subgroups where they divide well, else one vector a lane. */
export function rowLanes({ profile, plainKernels }: Device, vectors: number): RowLanes {
  const subgroup = plainKernels ? 0 : profile.subgroupSize;
  let lanes = 1;
  while (2 * lanes <= subgroup && vectors % (2 * lanes) === 0) lanes *= 2;
  if (lanes > 1 && vectors / lanes <= mostPieces) return { group: subgroup, lanes, shuffles: true };
  return { group: vectors * Math.max(1, Math.floor(plainGroup / vectors)), lanes: vectors, shuffles: false };
}
