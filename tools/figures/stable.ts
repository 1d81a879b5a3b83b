import { full, hostRandom, tensor } from '../../packages/tensor-webgpu/src/index.ts';
import { drawStable, type StableHeads } from '../../packages/sampler/src/stable.ts';
import { tokenCounts } from '../../packages/sampler/src/token-counts.ts';
import { accent, cells, figure, open, pale, text } from './svg.ts';

const codes = 64;

/** Tokens that are fixed before each step of stable sampling, and at its end: one array of flags for each. */
async function fixedBySteps(tokens: number, steps: number): Promise<boolean[][]> {
  const random = hostRandom(1, 0);
  const uniform = (): Float32Array => Float32Array.from({ length: tokens }, () => random.uniform());
  const seen: Promise<boolean[]>[] = [];
  // The codes of the fixed tokens are what the refiner is given: none is all zeros.
  const codebook_VZ = full([codes, 1], 1);
  const heads: StableHeads = {
    main: () => full([1, tokens, codes], 0),
    refined: (given) => {
      seen.push(given.data().then((values) => [...values].map((value) => value !== 0)));
      return full([1, tokens, codes], 0);
    },
    draw: () => ({
      drawn_Bl: full([1, tokens], 0, { dtype: 'u32' }),
      scores_Bl: tensor(uniform(), [1, tokens]),
    }),
    random: () => tensor(uniform(), [1, tokens]),
  };
  const start = full([1, tokens], codes, { dtype: 'u32' });
  const drawn = drawStable(heads, start, { codebook_VZ, scale: 9, version: 'new', steps });
  const last = [...(await drawn.data())].map((token) => token < codes);
  return [...(await Promise.all(seen)), last];
}

/** Which tokens of a map each step of stable sampling fixes. The order of sureness is random here: the figure shows how many and when. */
export async function stableFigure(side: number, steps: number): Promise<string> {
  const states = await fixedBySteps(side * side, steps);
  const counts = tokenCounts(side * side, steps);
  const [size, gap, top] = [104, 20, 28];
  const grids = counts.flatMap((count, step) => {
    const [before, after] = [states[step]!, states[step + 1]!];
    const x = 10 + (step % 4) * (size + gap);
    const y = top + Math.floor(step / 4) * (size + 60);
    const fills = after.map((fixed, token) => (before[token] ? pale : fixed ? accent : open));
    return [
      text({ x: x + size / 2, y: y - 10 }, `step ${step + 1}`),
      ...cells({ x, y, width: size, height: size }, side, fills),
      text({ x: x + size / 2, y: y + size + 16 }, `${count} fixed, ${after.filter((fixed) => !fixed).length} open`),
    ];
  });
  const rows = Math.ceil(steps / 4);
  return figure(
    { width: 20 + 4 * (size + gap) - gap, height: rows * (size + 60) + 10, title: 'Stable sampling' },
    grids,
  );
}
