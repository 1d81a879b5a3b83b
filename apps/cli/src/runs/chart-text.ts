import { scaleLinear } from 'd3-scale';
import { plot, type Color, type Point } from 'simple-ascii-chart';
import { formatNumber } from '@star-webgpu/metrics';
import type { Chart } from './chart-svg.ts';

const colors: readonly Color[] = ['ansiYellow', 'ansiBlue', 'ansiGreen', 'ansiMagenta', 'ansiCyan', 'ansiRed'];

/** Room beside the curves: the numbers of the vertical axis. */
const axisColumns = 14;

/** Where the text goes. */
interface Place {
  readonly columns: number;
  readonly colored: boolean;
}

/** A chart in characters: all curves in one where colours tell them apart, else one below the other. */
export function chartText({ title, curves }: Chart, place: Place): string {
  if (place.colored || curves.length === 1) return oneChart({ title, curves }, place);
  return curves.map((curve) => oneChart({ title: `${title} of ${curve.name}`, curves: [curve] }, place)).join('\n\n');
}

function oneChart({ title, curves }: Chart, { columns, colored }: Place): string {
  const lines = curves.map(({ points }) => points.map(([step, value]): Point => [step, value]));
  const text = plot(lines, {
    title,
    width: Math.max(20, columns - axisColumns),
    height: 12,
    formatter: (value) => formatNumber(value),
    customXAxisTicks: scaleLinear()
      .domain([0, Math.max(...lines.flatMap((line) => line.map(([step]) => step)))])
      .ticks(6),
    ...(colored && { color: curves.map((_, i) => colors[i % colors.length]!) }),
    ...(curves.length > 1 && { legend: { position: 'bottom', series: curves.map(({ name }) => name) } }),
  });
  return text.replace(/^\n/, '').trimEnd();
}
