import { check } from '../errors.ts';
import { fixTokensKernel } from '../kernels/fix-tokens.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { launch } from './launch.ts';
import { contiguous } from './view.ts';

/** What `fixTokens` chooses by. */
export interface FixTokensOptions {
  /** What was drawn for each token, u32 [R, l]. */
  readonly drawn: Tensor;
  /** How sure each draw is, f32 [R, l]. */
  readonly scores: Tensor;
  /** Most tokens of a row that are fixed. */
  readonly count: number;
  /** The value of tokens that are open, which no draw has. */
  readonly open: number;
  /** Who competes for the places: the open tokens, or all, so that fixed ones take places up. */
  readonly among: 'open' | 'all';
}

/**
 * Fixes the open tokens of highest score, the lower index first on a tie, to what was drawn for them; fixed ones stay. u32 [R, l] -> u32 [R, l].
 * @throws TensorError if shapes or types do not fit.
 */
export function fixTokens(tokens: Tensor, { drawn, scores, count, open, among }: FixTokensOptions): Tensor {
  const [R, l] = tokens.shape as [number, number];
  const fits =
    tokens.rank === 2 &&
    [drawn, scores].every(({ shape }) => sameShape(shape, tokens.shape)) &&
    [tokens.dtype, drawn.dtype, scores.dtype].join() === 'u32,u32,f32';
  check(
    'fixTokens',
    fits,
    () =>
      `tokens, drawn and scores must be u32, u32 and f32 [R, l], got ${[tokens, drawn, scores].map(({ dtype, shape }) => `${dtype} [${shape}]`).join(', ')}.`,
  );
  check('fixTokens', Number.isInteger(count) && count >= 0, () => `count must be a whole number from 0, got ${count}.`);
  const y = empty(tokens.shape, 'u32', tokens.storage.device);
  launch(fixTokensKernel, {
    spec: { openOnly: among === 'open' },
    tensors: { tokens: contiguous(tokens), drawn: contiguous(drawn), scores: contiguous(scores), y },
    uniforms: { size: R * l, length: l, count, open },
    grid: foldGrid(Math.ceil((R * l) / 64)),
  });
  return y;
}
