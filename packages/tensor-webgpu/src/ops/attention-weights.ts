import { check } from '../errors.ts';
import { sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { attention, type AttentionOptions } from './attention.ts';
import { cast } from './cast.ts';
import { expand } from './expand.ts';
import { toOperand } from './precision.ts';
import { padAxis, permute, reshape, slice } from './view.ts';

/**
 * How much each query attends to sets of keys: the sum of its softmax weights over the keys of a set, per head.
 * It is attention whose values say which sets a key is in, so no Lq x Lk matrix is made; up to d sets cost one pass.
 * q: [B, Lq, N, d], k: [B, Lk, N, d], sets: [B, W, Lk] of 0 and 1, W at most d -> f32 [B, Lq, N, W].
 * @throws TensorError if the sets do not fit, and where `attention` does.
 */
export function attentionWeights(query: Tensor, key: Tensor, sets: Tensor, options: AttentionOptions): Tensor {
  const [q, k] = [toOperand(query), toOperand(key)];
  const [B, Lk, N, d] = k.shape as [number, number, number, number];
  const W = sets.shape[1] ?? 0;
  check(
    'attentionWeights',
    sameShape(sets.shape, [B, W, Lk]) && W >= 1 && W <= d,
    () =>
      `sets must be [${B}, W, ${Lk}] with W from 1 to ${d}, got [${sets.shape}]. Ask for the others in another call.`,
  );
  const values_BLkW = cast(permute(sets, [0, 2, 1]), k.dtype);
  const value = expand(reshape(padAxis(values_BLkW, 2, 0, d - W), [B, Lk, 1, d]), [B, Lk, N, d]);
  return cast(slice(attention(q, k, value, options), 3, 0, W), 'f32');
}
