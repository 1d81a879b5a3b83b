import { type Communicator, singleProcess } from '@star-webgpu/trainer';
import { starStepWork } from '../../src/star-workloads.ts';
import type { Bucket, Timeline } from './simulate.ts';

export interface MeasuredStep extends Timeline {
  readonly name: string;
  /** Of one rank. */
  readonly pictures: number;
  /** Floating-point operations of its products. */
  readonly flops: number;
}

/**
 * The fastest of some steps of the small STAR, as a rank takes it: gradients leave the device bucket by bucket while the backward pass
 * runs. Their sums are left out, so nothing is waited for.
 */
export async function measureStep(rounds: number): Promise<MeasuredStep> {
  const pictures = 2;
  let buckets: Bucket[] = [];
  let start = 0;
  const communicator: Communicator = {
    ...singleProcess,
    size: 2,
    allReduceSum: async ({ length }) => void buckets.push({ bytes: length, ready: performance.now() - start }),
    allGather: async (bytes) => [bytes, bytes],
  };
  const { name, flops, run, dispose } = starStepWork(pictures, { communicator });
  let best: Timeline = { buckets: [], end: Infinity };
  // The first one records and compiles.
  for (let round = 0; round <= rounds; round++) {
    buckets = [];
    start = performance.now();
    await run();
    const end = performance.now() - start;
    if (round > 0 && end < best.end) best = { buckets, end };
  }
  dispose();
  return { name, pictures, flops, ...best };
}
