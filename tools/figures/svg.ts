/** Text that stands on light and on dark pages. */
const grey = '#85888f';

/** A figure of some size in pixels. */
export const figure = (
  { width, height, title }: { readonly width: number; readonly height: number; readonly title: string },
  parts: readonly string[],
): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>${title}</title>
${parts.join('\n')}
</svg>
`;

/** A place in pixels from the top left. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Place {
  readonly width: number;
  readonly height: number;
}

const rounded = (value: number): string => String(Number(value.toFixed(2)));

const attributes = (values: Readonly<Record<string, number | string>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${typeof value === 'number' ? rounded(value) : value}"`)
    .join('');

const rectangle = (box: Box, fill: string, stroke = 'none'): string =>
  `<rect${attributes({ ...box })} fill="${fill}" stroke="${stroke}"/>`;

export const disc = ({ x, y }: Place, r: number, fill: string): string =>
  `<circle${attributes({ cx: x, cy: y, r })} fill="${fill}"/>`;

export const line = (from: Place, to: Place, stroke = grey): string =>
  `<line${attributes({ x1: from.x, y1: from.y, x2: to.x, y2: to.y })} stroke="${stroke}"/>`;

export const text = (place: Place, words: string, anchor: 'start' | 'middle' | 'end' = 'middle'): string =>
  `<text${attributes({ ...place })} fill="${grey}" text-anchor="${anchor}">${words}</text>`;

/** A picture inside the figure; its pixels stay sharp. */
export const picture = (box: Box, png: Uint8Array): string =>
  `<image${attributes({ ...box })} style="image-rendering:pixelated" href="data:image/png;base64,${Buffer.from(png).toString('base64')}"/>`;

/** A map of cells, row by row, each filled with its colour. */
export function cells({ x, y, width, height }: Box, columns: number, fills: readonly string[]): string[] {
  const [wide, high] = [width / columns, (height * columns) / fills.length];
  return fills.map((fill, i) =>
    rectangle(
      {
        x: x + (i % columns) * wide + 0.5,
        y: y + Math.floor(i / columns) * high + 0.5,
        width: wide - 1,
        height: high - 1,
      },
      fill,
    ),
  );
}

/** A colour for each of many things, neighbours far apart. */
export const manyColours = (index: number): string => `hsl(${Math.round((index * 137.508) % 360)} 55% 55%)`;

/** A colour for each of a few scales, coarse to fine. */
export const scaleColour = (scale: number, scales: number): string =>
  `hsl(${Math.round(20 + (200 * scale) / Math.max(1, scales - 1))} 65% 52%)`;

/** What is looked at, what was there before, and what is open. */
export const [accent, pale, open] = ['#c8551d', '#e3b08f', '#85888f33'];
