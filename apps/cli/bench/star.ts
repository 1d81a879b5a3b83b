import { type RowResult, type RunOptions, timeAll } from '../../../packages/tensor-webgpu/bench/index.ts';
import { starSamplingWork, starStepWork } from '../src/star-workloads.ts';
import { matmulWork, type Workload } from '../src/workloads.ts';

/** A row without peers: ours, beside our own product of the same run, so that a fast or slow machine shows. */
interface StarRow {
  readonly name: string;
  /** What PyTorch's published code does on a machine whose CPU takes 36 ms for a 1024^3 product. */
  readonly about: string;
  readonly work: () => Workload;
}

/** The rows of the upper layers; a new one is a workload and a line here. */
export const starRows: readonly StarRow[] = [
  {
    name: 'STAR training step',
    about: 'goal: 1700 ms at most where PyTorch takes 36 ms on the CPU for a 1024^3 product',
    work: starStepWork,
  },
  {
    name: 'STAR sampling',
    about: 'goal: 2200 ms at most where PyTorch takes 36 ms on the CPU for a 1024^3 product',
    work: starSamplingWork,
  },
];

/** Times a row in rounds with the product. */
export async function runStarRow({ name, about, work }: StarRow, options: RunOptions): Promise<RowResult> {
  const candidates = [work(), matmulWork(1024)].map((one) => ({ candidate: { ...one, kind: 'ours' as const } }));
  const measured = await timeAll(candidates, options);
  const [ours, product] = measured.timed;
  const note = `takes as long as ${(ours!.best / product!.best).toFixed(1)} of our 1024^3 products (medians ${(ours!.median / product!.median).toFixed(1)})`;
  return { name, about, note, ...measured, notRun: [] };
}
