import { patchNumberPresets } from '@star-webgpu/vqvae/scales';
import { type RowResult, type RunOptions, timeAll, type Timed } from '../../../packages/tensor-webgpu/bench/index.ts';
import { replayWork, starForwardWork, starSamplingWork, starStepWork } from '../src/star-workloads.ts';
import { matmulWork, type Workload } from '../src/workloads.ts';

/** A row without peers: ours, beside our own product of the same run, so that a fast or slow machine shows. */
interface StarRow {
  readonly name: string;
  readonly about: string;
  /** What is timed, the first beside our product. */
  readonly works: () => readonly Workload[];
  /** What the times say of the row's goal. */
  readonly note: (timed: readonly Timed[]) => string;
}

/** How long the first took, in products of the same run. */
const inProducts = (timed: readonly Timed[]): string => {
  const [ours, product] = [timed[0]!, timed.at(-1)!];
  return `takes as long as ${(ours.best / product.best).toFixed(1)} of our 1024^3 products (medians ${(ours.median / product.median).toFixed(1)})`;
};

const pyramids: readonly (readonly number[])[] = [
  [1, 2, 4, 8],
  patchNumberPresets['256'],
  patchNumberPresets['512'],
  patchNumberPresets['1024'],
];

/** Time a floating-point operation of each size, relative to the least of the smaller ones. */
function growth(timed: readonly Timed[]): string {
  const costs = timed.slice(0, pyramids.length).map(({ best, flops }) => best / flops!);
  const ratios = costs.slice(1).map((cost, i) => cost / Math.min(...costs.slice(0, i + 1)));
  return `time an operation, against the best of the shorter sequences: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')} (goal: 1.15 at most)`;
}

/** The rows of the upper layers; a new one is a workload and a line here. */
export const starRows: readonly StarRow[] = [
  {
    name: 'STAR training step',
    about: 'goal: 1700 ms at most where PyTorch takes 36 ms on the CPU for a 1024^3 product',
    works: () => [starStepWork()],
    note: inProducts,
  },
  {
    name: 'STAR sampling',
    about: 'goal: 2200 ms at most where PyTorch takes 36 ms on the CPU for a 1024^3 product',
    works: () => [starSamplingWork()],
    note: inProducts,
  },
  {
    name: 'STAR growth',
    about: 'a forward pass from 85 to 9451 tokens',
    works: () => pyramids.map(starForwardWork),
    note: growth,
  },
  {
    name: 'replay',
    about: 'host time of a plan of 1200 small dispatches; goal: 5 ms',
    works: () => [replayWork(1200)],
    note: ([replayed]) => `${((1000 * replayed!.best) / 1200).toFixed(2)} us a dispatch`,
  },
];

/** Times a row in rounds with the product. */
export async function runStarRow({ name, about, works, note }: StarRow, options: RunOptions): Promise<RowResult> {
  const candidates = [...works(), matmulWork(1024)].map((one) => ({ candidate: { ...one, kind: 'ours' as const } }));
  const measured = await timeAll(candidates, options);
  return { name, about, note: note(measured.timed), ...measured, notRun: [] };
}
