import { accent, disc, figure, line, type Place, text } from '../figures/svg.ts';
import type { Measured } from './measure.ts';
import type { Sweep } from './settings.ts';

/** What a setting gives, and the time of a picture. */
export type Row = Measured & { readonly seconds: number };

/** A panel of a chart: what it shows of a setting. */
interface Panel {
  readonly title: string;
  readonly valueOf: (row: Row) => number;
  /** The lowest value that the axis shows; that of the rows without it. */
  readonly from?: number;
  /** Behind the point of the values that it shows. */
  readonly digits: number;
}

const panels: readonly Panel[] = [
  { title: 'nearest to its own, %', valueOf: ({ top1 }) => 100 * top1, from: 0, digits: 0 },
  { title: 'dB to its own', valueOf: ({ psnr }) => psnr, digits: 1 },
  { title: 'dB between two seeds', valueOf: ({ likeness }) => likeness, digits: 0 },
  { title: 'ms a picture', valueOf: ({ seconds }) => 1000 * seconds, from: 0, digits: 0 },
];

const [panelWidth, panelHeight, gap] = [240, 120, 30];
const top = 52;

/** One option's settings side by side, a panel for each thing that is measured. */
export function sweepChart({ title }: Sweep, rows: readonly Row[]): string {
  const width = panels.length * (panelWidth + gap) + gap;
  const parts = panels.flatMap((panel, i) => panelOf(panel, rows, { x: gap + i * (panelWidth + gap), y: top }));
  return figure({ width, height: top + panelHeight + 40, title }, [text({ x: gap, y: 18 }, title, 'start'), ...parts]);
}

function panelOf({ title, valueOf, from, digits }: Panel, rows: readonly Row[], { x, y }: Place): string[] {
  const values = rows.map(valueOf);
  const low = from ?? Math.min(...values);
  const high = Math.max(...values);
  const place = (value: number, i: number): Place => ({
    x: x + ((i + 0.5) * panelWidth) / rows.length,
    y: y + panelHeight - ((value - low) / (high - low || 1)) * (panelHeight - 24) - 6,
  });
  const places = values.map(place);
  const bottom = y + panelHeight;
  return [
    text({ x, y: y - 8 }, title, 'start'),
    line({ x, y: bottom }, { x: x + panelWidth, y: bottom }),
    ...places.slice(1).map((to, i) => line(places[i]!, to, accent)),
    ...places.map((at) => disc(at, 3, accent)),
    ...places.map((at, i) => text({ x: at.x, y: at.y - 7 }, values[i]!.toFixed(digits))),
    ...rows.map(({ setting }, i) => text({ x: places[i]!.x, y: bottom + 16 + 14 * (i % 2) }, setting)),
  ];
}

/** All settings as points: quality against time. */
export function overviewChart(rows: readonly Row[], colourOf: (sweep: string) => string): string {
  const [width, height, margin] = [640, 380, 56];
  const [times, quality] = [rows.map(({ seconds }) => seconds), rows.map(({ psnr }) => psnr)];
  const [slowest, worst, best] = [Math.max(...times), Math.min(...quality), Math.max(...quality)];
  const place = ({ seconds, psnr }: Row): Place => ({
    x: margin + (seconds / slowest) * (width - 2 * margin),
    y: height - margin - ((psnr - worst) / (best - worst || 1)) * (height - 2 * margin),
  });
  const sweeps = [...new Set(rows.map(({ sweep }) => sweep))];
  const round = (value: number): string => Number(value.toPrecision(3)).toString();
  return figure({ width, height, title: 'PSNR against time' }, [
    line({ x: margin, y: height - margin }, { x: width - margin, y: height - margin }),
    line({ x: margin, y: margin }, { x: margin, y: height - margin }),
    ...[0, 0.5, 1].map((share) =>
      text({ x: margin + share * (width - 2 * margin), y: height - margin + 18 }, round(share * slowest)),
    ),
    ...[worst, (worst + best) / 2, best].map((value, i) =>
      text({ x: margin - 8, y: height - margin - (i / 2) * (height - 2 * margin) + 4 }, round(value), 'end'),
    ),
    text({ x: width / 2, y: height - 14 }, 'seconds a picture'),
    text({ x: margin, y: margin - 14 }, 'dB to its own', 'start'),
    ...rows.map((row) => disc(place(row), 5, colourOf(row.sweep))),
    ...sweeps.flatMap((sweep, i) => [
      disc({ x: width - margin - 110, y: margin + 18 * i }, 5, colourOf(sweep)),
      text({ x: width - margin - 98, y: margin + 18 * i + 4 }, sweep, 'start'),
    ]),
  ]);
}
