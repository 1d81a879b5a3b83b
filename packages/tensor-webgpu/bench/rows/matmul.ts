import { matmul, tensor, toHalfBits } from '@star-webgpu/tensor-webgpu';
import type { Row, Work } from '../harness/row.ts';
import { hostValues } from '../harness/values.ts';
import { node } from '../peers/onnx-model.ts';

type Type = 'f32' | 'f16';

/** C = A B of two n x n matrices in f32. */
export const matmulRow = (n: number): Row => ({
  name: `matmul f32 ${n}^3`,
  about: `product of two ${n} x ${n} matrices`,
  flops: 2 * n ** 3,
  // Sums of n products in another order.
  tolerance: 1e-5,
  goal: 5,
  works: () => [ours(n, 'f32'), ...peers(n, 'f32')],
});

/** The same from f16 matrices; peers in f32, and in f16 where they have it. */
export const matmulHalfRow = (n: number): Row => ({
  name: `matmul f16 ${n}^3`,
  about: `product of two ${n} x ${n} matrices, ours stored in f16`,
  flops: 2 * n ** 3,
  // Operands and results rounded to 11 bits, and peers that add up in f16.
  tolerance: 2e-2,
  goal: 6,
  works: () => [
    ours(n, 'f16'),
    ...peers(n, 'f32').map((work): Work => ({ ...work, label: 'f32', kinds: ['webgpu', 'wasm'] })),
    ...peers(n, 'f16').map((work): Work => ({ ...work, label: 'f16', kinds: ['webgpu'] })),
  ],
});

const operands = (n: number): [Float32Array, Float32Array] => [hostValues(n * n, 1), hostValues(n * n, 2)];

const ours = (n: number, dtype: Type): Work => ({
  library: 'ours',
  build: () => ({
    inputs: operands(n).map((values) => tensor(values, [n, n], { dtype })),
    step: (a, b) => [matmul(a!, b!)],
  }),
});

function peers(n: number, type: Type): Work[] {
  const jax: Work = {
    library: 'jax',
    build: ({ numpy }) => ({
      inputs: operands(n).map((values) =>
        numpy.array(values, { shape: [n, n] }).astype(type === 'f16' ? numpy.float16 : numpy.float32),
      ),
      // jax-js cannot hand out f16 values where JavaScript has no Float16Array; jit fuses the cast into the product.
      step: (a, b) => [numpy.matmul(a!, b!).astype(numpy.float32)],
    }),
  };
  const tfjs: Work = {
    library: 'tfjs',
    build: (tf) => ({
      inputs: operands(n).map((values) => tf.tensor2d(values, [n, n])),
      step: (a, b) => [tf.matMul(a!, b!)],
    }),
  };
  return type === 'f16' ? [jax, onnx(n, type)] : [jax, tfjs, onnx(n, type)];
}

const onnx = (n: number, type: Type): Work => ({
  library: 'onnx',
  build: () => {
    const [a, b] = operands(n).map((values) => ({
      values: type === 'f16' ? Uint16Array.from(values, toHalfBits) : values,
      shape: [n, n],
    }));
    return { inputs: { a: a!, b: b! }, nodes: [node('MatMul', ['a', 'b'], 'c')], outputs: { c: [n, n] } };
  },
});
