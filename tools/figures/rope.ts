import { ropeAngles } from '../../packages/star-transformer/src/rope.ts';
import { disc, figure, line, scaleColour, text } from './svg.ts';

/** Where the columns of each scale lie on the axis of the rotary embedding: counted, and as STAR stretches them. */
export function ropeFigure(patchNumbers: readonly number[]): string {
  const [width, row, left, gap] = [300, 26, 70, 60];
  const last = patchNumbers.at(-1)!;
  const panel = (title: string, at: number, share: (patchNumber: number) => number[]): string[] => [
    text({ x: at + width / 2, y: 16 }, title),
    ...patchNumbers.flatMap((patchNumber, scale) => {
      const y = 44 + scale * row;
      return [
        line({ x: at, y }, { x: at + width, y }),
        ...share(patchNumber).map((place) =>
          disc({ x: at + place * width, y }, 5, scaleColour(scale, patchNumbers.length)),
        ),
      ];
    }),
  ];
  const counted = (patchNumber: number): number[] => Array.from({ length: patchNumber }, (_, i) => i / (last - 1));
  // The first channel pair turns by the coordinate itself.
  const stretched = (patchNumber: number): number[] => {
    const angles = ropeAngles({ height: 1, width: patchNumber }, 4);
    return Array.from({ length: patchNumber }, (_, column) => angles[2 * column]! / 64);
  };
  const height = 44 + patchNumbers.length * row + 14;
  const right = left + width + gap;
  return figure({ width: right + width + 20, height, title: 'Columns of each scale in the rotary embedding' }, [
    ...patchNumbers.map((patchNumber, scale) =>
      text({ x: left - 14, y: 48 + scale * row }, `${patchNumber} x ${patchNumber}`, 'end'),
    ),
    ...panel('counted from 0', left, counted),
    ...panel('normalised: 0 to 64', right, stretched),
    text({ x: left, y: height - 6 }, '0'),
    text({ x: left + width, y: height - 6 }, String(last - 1)),
    text({ x: right, y: height - 6 }, '0'),
    text({ x: right + width, y: height - 6 }, '64'),
  ]);
}
