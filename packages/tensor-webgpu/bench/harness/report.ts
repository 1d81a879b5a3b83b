import type { RowResult, Timed } from './run-row.ts';

/** GFLOPS at a number of milliseconds. */
const rate = (flops: number, milliseconds: number): string => (flops / milliseconds / 1e6).toFixed(1);

const times = (factor: number): string => `${factor.toFixed(2)}x`;

/** How many times longer than ours a contender takes for the same amount of work. */
const equalWork = (ours: Timed, peer: Timed): number =>
  (peer.best / ours.best) * ((ours.flops ?? 1) / (peer.flops ?? ours.flops ?? 1));

/** The table of a row: best, median, rate at best, time relative to ours as it is and at equal work, error of the result against ours. */
export function reportOf(result: RowResult): string {
  const { name, about, timed, notRun, note } = result;
  const ours = timed.find(({ kind }) => kind === 'ours');
  const width = Math.max(...[...timed, ...notRun].map((contender) => contender.name.length));
  return [
    `${name}: ${about}`,
    `  ${'contender'.padEnd(width)} rounds    best ms   median ms    GFLOPS   to ours   equal work   rel. error`,
    ...timed.map((contender) => `  ${contender.name.padEnd(width)} ${numbersOf(contender, ours)}`),
    ...notRun.map(({ name: peer, why }) => `  ${peer.padEnd(width)}  not run: ${why}`),
    ...verdicts(result).map((line) => `  ${line}`),
    ...(note ? [`  ${note}`] : []),
    ...kernelLines(result).map((line) => `  ${line}`),
    '',
  ].join('\n');
}

function numbersOf(contender: Timed, ours: Timed | undefined): string {
  const { rounds, best, median, flops, error } = contender;
  const against = ours && contender.kind !== 'ours' ? ours : undefined;
  return [
    String(rounds).padStart(6),
    best.toFixed(2).padStart(10),
    median.toFixed(2).padStart(11),
    (flops === undefined ? '' : rate(flops, best)).padStart(9),
    (against ? times(best / against.best) : '').padStart(9),
    (against?.flops && flops ? times(equalWork(against, contender)) : '').padStart(12),
    (error === undefined ? '' : error.toExponential(1)).padStart(12),
  ].join(' ');
}

/** Kernels of ours that take at least a hundredth of the time. */
function kernelLines({ kernels = [] }: RowResult): string[] {
  const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return kernels
    .filter(({ milliseconds }) => milliseconds > total / 100)
    .map(({ kernel, runs, milliseconds }) => {
      const share = ((100 * milliseconds) / total).toFixed(0).padStart(3);
      return `ours: ${share}% in ${kernel}, ${milliseconds.toFixed(1)} ms in ${runs} runs`;
    });
}

/** Where ours stands against the best peer of each kind: by the best times, and by the medians. */
function verdicts({ timed, goal }: RowResult): string[] {
  const ours = timed.find(({ kind }) => kind === 'ours');
  if (!ours) return ['no verdict: ours did not run'];
  return (['webgpu', 'wasm'] as const).flatMap((kind) => {
    const wanted = kind === 'webgpu' ? goal : 1;
    const [peer] = timed.filter((contender) => contender.kind === kind).toSorted((a, b) => a.best - b.best);
    if (!peer || wanted === undefined) return [];
    const factor = kind === 'webgpu' ? equalWork(ours, peer) : peer.best / ours.best;
    const middle = (factor * (peer.median / peer.best)) / (ours.median / ours.best);
    const verdict = factor >= wanted ? 'reached' : 'NOT reached';
    return [
      `goal ${wanted}x the best ${kind} peer: ${times(factor)} ${peer.name} (medians ${times(middle)}), ${verdict}`,
    ];
  });
}
