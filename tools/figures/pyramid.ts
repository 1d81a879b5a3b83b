import { pictureAt, type Pipeline } from '../../packages/sampler/src/index.ts';
import { picturePng } from '../../apps/cli/src/pictures.ts';
import { cells, figure, manyColours, picture, text } from './svg.ts';

/** Every scale of a picture: its tokens, a colour for each row of the codebook, and the picture so far. */
export async function pyramidFigure(pipeline: Pipeline, prompt: string, seed: number): Promise<string> {
  const [size, gap, left, top] = [96, 18, 70, 34];
  const columns: string[] = [];
  let count = 0;
  for await (const { scale, map, indices_Bl, decode } of pipeline.generate([prompt], { seed })) {
    const tokens = [...(await indices_Bl.data())];
    const png = await picturePng(pictureAt(await decode(), 0));
    const x = left + scale * (size + gap);
    columns.push(
      text({ x: x + size / 2, y: top - 12 }, `${map.width} x ${map.height}`),
      ...cells({ x, y: top, width: size, height: size }, map.width, tokens.map(manyColours)),
      picture({ x, y: top + size + gap, width: size, height: size }, png),
    );
    count++;
  }
  const row = top + size / 2 + 4;
  return figure(
    { width: left + count * (size + gap), height: top + 2 * (size + gap), title: `The pyramid of "${prompt}"` },
    [
      text({ x: left - 14, y: row }, 'tokens', 'end'),
      text({ x: left - 14, y: row + size + gap }, 'picture', 'end'),
      ...columns,
    ],
  );
}
