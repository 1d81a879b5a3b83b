import { tokenOffsets } from '../../packages/vqvae/src/scales.ts';
import { blockCausalLimits } from '../../packages/star-transformer/src/mask.ts';
import { cells, figure, open, scaleColour, text } from './svg.ts';

/** Who sees whom: a row for each query, a column for each key. */
export async function maskFigure(patchNumbers: readonly number[]): Promise<string> {
  const limits = [...(await blockCausalLimits(patchNumbers).data())];
  const offsets = tokenOffsets(patchNumbers);
  const [L, cell, left, top] = [limits.length, 12, 60, 44];
  const scaleOf = (token: number): number => offsets.findLastIndex((offset) => offset <= token);
  const fills = limits.flatMap((limit) =>
    limits.map((_, key) => (key < limit ? scaleColour(scaleOf(key), patchNumbers.length) : open)),
  );
  const side = L * cell;
  const labels = patchNumbers.flatMap((patchNumber, scale) => {
    const middle = ((offsets[scale]! + offsets[scale + 1]!) / 2) * cell;
    const name = scale ? `${patchNumber} x ${patchNumber}` : '1';
    return [text({ x: left + middle, y: top - 10 }, name), text({ x: left - 8, y: top + middle + 4 }, name, 'end')];
  });
  return figure({ width: left + side + 10, height: top + side + 10, title: 'The block-causal mask' }, [
    text({ x: left + side / 2, y: 14 }, 'keys, by scale'),
    ...labels,
    ...cells({ x: left, y: top, width: side, height: side }, L, fills),
  ]);
}
