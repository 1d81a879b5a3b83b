import { formatNumber } from './text.ts';

/** Text for HTML and SVG, also inside quotes. */
export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A value with its name. */
export interface ChartPoint {
  readonly name: string;
  readonly value: number;
}

export interface RadarOptions {
  readonly title: string;
  readonly better: 'lower' | 'higher';
}

const radius = 110;
const [centreX, centreY] = [210, 160];

/** Place on a spoke: the first points up, the rest follow clockwise. */
function onSpoke(i: number, count: number, distance: number): readonly [number, number] {
  const angle = (2 * Math.PI * i) / count - Math.PI / 2;
  return [centreX + distance * Math.cos(angle), centreY + distance * Math.sin(angle)];
}

const points = (places: readonly (readonly [number, number])[]): string =>
  places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');

/** Distance from the centre, 0.25 to 1: the best value lies outermost. */
function reach(value: number, values: readonly number[], better: 'lower' | 'higher'): number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const share = (value - low) / (high - low);
  return 0.25 + 0.75 * (better === 'higher' ? share : 1 - share);
}

/** Which end of its label a spoke's side wants. */
function anchorOf(x: number): string {
  if (Math.abs(x - centreX) < 20) return 'middle';
  return x < centreX ? 'end' : 'start';
}

/** A radar chart as SVG: one spoke a name, better outwards, values in the labels. Empty text for fewer than three points, and where all are equal. */
export function radarChart(given: readonly ChartPoint[], { title, better }: RadarOptions): string {
  const shown = given.filter(({ value }) => Number.isFinite(value));
  const values = shown.map(({ value }) => value);
  if (shown.length < 3 || new Set(values).size === 1) return '';
  const rings = [0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<polygon class="grid" points="${points(shown.map((_, i) => onSpoke(i, shown.length, share * radius)))}"/>`,
  );
  const spokes = shown.map((_, i) => {
    const [x, y] = onSpoke(i, shown.length, radius);
    return `<line class="grid" x1="${centreX}" y1="${centreY}" x2="${x.toFixed(1)}" y2="${y.toFixed(1)}"/>`;
  });
  const places = shown.map(({ value }, i) => onSpoke(i, shown.length, radius * reach(value, values, better)));
  const dots = places.map(([x, y]) => `<circle class="dot" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3.5"/>`);
  const labels = shown.map(({ name, value }, i) => {
    const [x, spokeEnd] = onSpoke(i, shown.length, radius + 16);
    // Two lines of text grow away from the centre.
    const y = spokeEnd + 7 * ((spokeEnd - centreY) / radius) - 2;
    const at = `x="${x.toFixed(1)}" text-anchor="${anchorOf(x)}"`;
    return `<text ${at} y="${y.toFixed(1)}">${escapeHtml(name)}</text><text class="value" ${at} y="${(y + 14).toFixed(1)}">${formatNumber(value)}</text>`;
  });
  return `<svg viewBox="0 0 420 330" role="img" aria-label="${escapeHtml(title)} by category">
${rings.join('\n')}\n${spokes.join('\n')}\n<polygon class="area" points="${points(places)}"/>\n${dots.join('\n')}\n${labels.join('\n')}
</svg>`;
}

export interface LineOptions {
  readonly title: string;
  readonly horizontal: string;
}

const frame = { left: 60, right: 400, top: 20, bottom: 200 } as const;

/** Round numbers that span a range, four or so. */
function ticksOf(low: number, high: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Ticks as text, with the digits that tell neighbours apart. */
function tickText(tick: number, ticks: readonly number[]): string {
  const most = Math.max(...ticks.map(Math.abs));
  if (most < 1e-3) return tick === 0 ? '0' : tick.toExponential(1);
  const step = ticks[1]! - ticks[0]!;
  return tick.toFixed(Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
}

/** A line through points by rising x, as SVG. Two points or more; empty text for fewer. */
export function lineChart(
  given: readonly (readonly [x: number, y: number])[],
  { title, horizontal }: LineOptions,
): string {
  const shown = given.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).toSorted(([a], [b]) => a - b);
  if (shown.length < 2) return '';
  const { left, right, top, bottom } = frame;
  const ys = shown.map(([, y]) => y);
  const ticks = ticksOf(Math.min(...ys), Math.max(...ys));
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const [first, last] = [shown[0]![0], shown.at(-1)![0]];
  const toX = (x: number): number => left + 20 + ((right - left - 40) * (x - first)) / (last - first || 1);
  const toY = (y: number): number => bottom - ((bottom - top) * (y - low)) / (high - low);
  const places = shown.map(([x, y]) => [toX(x), toY(y)] as const);
  const level = (tick: number): string =>
    `<line class="grid" x1="${left}" y1="${toY(tick).toFixed(1)}" x2="${right}" y2="${toY(tick).toFixed(1)}"/><text class="value" x="${left - 8}" y="${(toY(tick) + 4).toFixed(1)}" text-anchor="end">${tickText(tick, ticks)}</text>`;
  const dot = ([x, y]: readonly [number, number], i: number): string =>
    `<circle class="dot" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3.5"><title>${horizontal} ${shown[i]![0]}: ${formatNumber(shown[i]![1])}</title></circle><text class="value" x="${x.toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${shown[i]![0]}</text>`;
  return `<svg viewBox="0 0 420 245" role="img" aria-label="${escapeHtml(title)} against ${escapeHtml(horizontal)}">
${ticks.map(level).join('\n')}\n<polyline class="line" points="${points(places)}"/>\n${places.map(dot).join('\n')}
<text x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle">${escapeHtml(horizontal)}</text>
</svg>`;
}
