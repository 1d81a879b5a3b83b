import { scaleLinear, scaleLog, type ScaleContinuousNumeric } from 'd3-scale';
import { line } from 'd3-shape';
import type { Curve } from './curves.ts';

/** Curves of one metric. */
export interface Chart {
  readonly title: string;
  readonly curves: readonly Curve[];
}

const [width, height] = [300, 180];
const margin = { left: 56, right: 16, top: 24, bottom: 40 };
const legendLine = 16;
const colors = ['#c8551d', '#2b6cb0', '#2f855a', '#805ad5', '#b7791f', '#c53030'];

const colorOf = (curve: number): string => colors[curve % colors.length]!;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

type Scale = ScaleContinuousNumeric<number, number>;

/** Logarithmic where values are more than tenfold apart, but not for shares. */
function valueScale(values: readonly number[]): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = low > 0 && high > Math.max(1, 10 * low) ? scaleLog() : scaleLinear();
  return scale
    .domain(low === high ? [low - 0.5, high + 0.5] : [low, high])
    .range([height, 0])
    .nice();
}

/** Ticks that have room. A logarithmic scale gives all digits of each power of ten: 1, 2 and 5 are kept, or 1 alone. */
function ticksOf(scale: Scale, most: number): number[] {
  const all = scale.ticks(most);
  if (!('base' in scale)) return all.length <= most + 1 ? all : scale.ticks(most / 2);
  const begin = (digits: string): number[] => all.filter((value) => digits.includes(value.toExponential()[0]!));
  return [all, begin('125'), begin('1')].find((ticks) => ticks.length <= most + 1) ?? begin('1');
}

const xTick = (at: number, label: string): string =>
  `<path d="M${at.toFixed(1)},${height}v5" stroke="#888"/><text x="${at.toFixed(1)}" y="${height + 17}" text-anchor="middle">${label}</text>`;

const yTick = (at: number, label: string): string =>
  `<path d="M0,${at.toFixed(1)}H${width}" stroke="#e5e5e5"/><text x="-8" y="${at.toFixed(1)}" dy="0.32em" text-anchor="end">${label}</text>`;

function panel({ title, curves }: Chart): string {
  const points = curves.flatMap((curve) => curve.points);
  if (points.length === 0) throw new Error(`runs plot: ${title} must have a finite value, got none. Name another.`);
  const x = scaleLinear()
    .domain([0, Math.max(...points.map(([step]) => step))])
    .range([0, width]);
  const y = valueScale(points.map(([, value]) => value));
  const path = line<readonly [number, number]>()
    .x(([step]) => x(step))
    .y(([, value]) => y(value))
    .digits(1);
  const thousands = x.tickFormat(6, '~s');
  const xLabel = (step: number): string => (step === 0 ? '0' : thousands(step));
  const yLabel = (value: number): string => Number(value.toPrecision(3)).toString();
  return [
    `<text x="${width / 2}" y="-10" text-anchor="middle" font-weight="bold">${escaped(title)}</text>`,
    ...ticksOf(y, 5).map((value) => yTick(y(value), yLabel(value))),
    ...ticksOf(x, 6).map((step) => xTick(x(step), xLabel(step))),
    `<path d="M0,0V${height}H${width}" fill="none" stroke="#888"/>`,
    `<text x="${width / 2}" y="${height + 34}" text-anchor="middle">step</text>`,
    ...curves.map(
      (curve, i) => `<path d="${path(curve.points)}" fill="none" stroke="${colorOf(i)}" stroke-width="1.5"/>`,
    ),
  ].join('\n');
}

/** Charts side by side as SVG, each with a colour a run and one legend below. */
export function chartSvg(charts: readonly Chart[]): string {
  const names = charts[0]!.curves.map(({ name }) => name);
  const step = margin.left + width + margin.right;
  const top = margin.top + height + margin.bottom;
  const full = { width: step * charts.length, height: top + (names.length > 1 ? legendLine * names.length + 8 : 0) };
  const panels = charts.map(
    (chart, i) => `<g transform="translate(${margin.left + i * step},${margin.top})">\n${panel(chart)}\n</g>`,
  );
  const legend = names.map((name, i) => {
    const at = top + legendLine * i + 8;
    return `<path d="M${margin.left},${at}h20" stroke="${colorOf(i)}" stroke-width="2"/><text x="${margin.left + 26}" y="${at}" dy="0.32em">${escaped(name)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${full.width}" height="${full.height}" viewBox="0 0 ${full.width} ${full.height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${[...panels, ...(names.length > 1 ? legend : [])].join('\n')}
</svg>
`;
}
