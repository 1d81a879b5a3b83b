import { record } from '../autograd/record.ts';
import type { DType } from '../dtype.ts';
import type { Tensor } from '../tensor.ts';
import { map } from './map.ts';

/** The same values in another dtype; floats are cut towards zero for integers. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (dtype === x.dtype) return x;
  const value = dtype === 'bool' ? 'select(vec4<u32>(0u), vec4<u32>(1u), a != vec4(0))' : 'a';
  const y = map('cast', [x], value, { dtype });
  return record('cast', y, [x], (dy) => [cast(dy, x.dtype)]);
}
