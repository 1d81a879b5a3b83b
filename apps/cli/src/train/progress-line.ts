import type { StepReport } from '@star-webgpu/trainer';
import { duration } from '../output.ts';

const rounded = (value: number): string =>
  Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(2) : value.toFixed(4);

/** Numbers by name, without those of single scales. */
const listed = (numbers: Readonly<Record<string, number>>): string[] =>
  Object.entries(numbers)
    .filter(([name]) => !name.includes('/'))
    .map(([name, value]) => `${name} ${rounded(value)}`);

/** A step in one line: what a terminal of so many columns has no room for is left out, the last numbers first. */
export function progressLine(report: StepReport, columns = Infinity): string {
  const { step, steps, loss, metrics, imagesPerSecond, eta } = report;
  const first = [`step ${step}/${steps}`, `loss ${rounded(loss)}`];
  const last = [`${imagesPerSecond.toFixed(1)} images/s`, `${duration(eta)} left`];
  const measured = listed(metrics);
  const lineOf = (count: number): string => [...first, ...measured.slice(0, count), ...last].join('  ');
  let shown = measured.length;
  while (shown > 0 && lineOf(shown).length > columns) shown--;
  return lineOf(shown);
}

/** What an evaluation found, in a line. */
export const evaluationLine = ({ step, evaluation = {} }: Pick<StepReport, 'step' | 'evaluation'>): string =>
  `held out at step ${step}: ${listed(evaluation).join('  ')}`;
