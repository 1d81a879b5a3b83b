import { attention, detach, noGrad, tensor, vectorJacobian } from '@star-webgpu/tensor-webgpu';
import type { Row, Work } from '../harness/row.ts';
import { hostValues, permuteHost } from '../harness/values.ts';
import { node, type OnnxNode } from '../peers/onnx-model.ts';

/** Sides of the token maps of a 256 px picture; a token sees its own scale and all before it. */
const sides = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16] as const;
const ends: readonly number[] = sides.map((_, i) => sides.slice(0, i + 1).reduce((sum, side) => sum + side ** 2, 0));
const L = ends.at(-1)!;
const [N, d] = [16, 64] as const;
const scale = 1 / Math.sqrt(d);

/** First key that a query does not see. */
const limits: readonly number[] = Array.from({ length: L }, (_, i) => ends.find((end) => end > i)!);
const visiblePairs = limits.reduce((sum, limit) => sum + limit, 0);

/** softmax(q k^T / 8 + mask) v per head; with `backward` also dq, dk, dv from a given upstream gradient. */
export const attentionRow = (backward: boolean): Row => ({
  name: `attention L ${L}, ${N} heads of ${d}, ${backward ? 'forward + backward' : 'forward'}`,
  about: `block-causal over scales ${sides.join(' ')}: ${((100 * visiblePairs) / L ** 2).toFixed(0)}% of the pairs are visible; peers compute all of them`,
  flops: flopsOf(visiblePairs, backward),
  peerFlops: flopsOf(L ** 2, backward),
  // exp in two implementations, and sums of 680 products in another order.
  tolerance: 1e-4,
  goal: 3.5,
  works: () => [ours(backward), jax(backward), tfjs(backward), onnx(backward), ...(backward ? [] : [onnxFused])],
});

/** Two products forward and four backward; what is computed anew on the way back does not count. */
const flopsOf = (pairs: number, backward: boolean): number => 2 * pairs * N * d * (backward ? 6 : 2);

/** [L, N, d]; queries are larger, so that some keys matter more than others. */
const names = ['q', 'k', 'v', 'dy'] as const;
const values = (name: (typeof names)[number]): Float32Array =>
  hostValues(L * N * d, names.indexOf(name) + 1).map((value) => (name === 'q' ? 4 * value : value));

const ours = (backward: boolean): Work => ({
  library: 'ours',
  build: () => ({
    inputs: [
      ...names.map((name) => tensor(values(name), [1, L, N, d], { requiresGrad: backward && name !== 'dy' })),
      tensor(limits, [L], { dtype: 'u32' }),
    ],
    step: (q, k, v, dy, limits_L) => {
      const o = attention(q!, k!, v!, { scale, limits: limits_L! });
      return backward ? [o, ...noGrad(() => vectorJacobian([o], [detach(dy!)], [q!, k!, v!]))] : [o];
    },
  }),
});

/** One number a pair: `hidden` where the query does not see the key, else `visible`. [L, L]. */
const pairs = (visible: number, hidden: number): Float32Array =>
  Float32Array.from({ length: L * L }, (_, i) => (i % L < limits[Math.floor(i / L)]! ? visible : hidden));

const jax = (backward: boolean): Work => ({
  library: 'jax',
  build: ({ numpy, nn, vjp }) => ({
    inputs: [
      ...names.map((name) => numpy.array(values(name), { shape: [1, L, N, d] })),
      numpy.greater(numpy.array(pairs(1, 0), { shape: [1, 1, L, L] }), 0),
    ],
    step: (q, k, v, dy, mask) => {
      type Operand = NonNullable<typeof q>;
      const attend = (a: Operand, b: Operand, c: Operand): Operand =>
        nn.dotProductAttention(a, b, c, { mask: mask!, scale });
      if (!backward) {
        dy!.dispose();
        return [attend(q!, k!, v!)];
      }
      const [o, pull] = vjp(attend, [q!, k!, v!]);
      return [o, ...pull(dy!)];
    },
  }),
});

/** tfjs and ONNX get the heads in front, so that their products need no transposes: [N, L, d]. */
const headsFirst = (name: (typeof names)[number]): Float32Array => permuteHost(values(name), [L, N, d], [1, 0, 2]);
const headsBack = (outputs: readonly Float32Array[]): Float32Array[] =>
  outputs.map((output) => permuteHost(output, [N, L, d], [1, 0, 2]));

const tfjs = (backward: boolean): Work => ({
  library: 'tfjs',
  build: (tf) => ({
    inputs: [...names.map((name) => tf.tensor3d(headsFirst(name), [N, L, d])), tf.tensor2d(pairs(0, -1e9), [L, L])],
    step: (q, k, v, dy, bias) => {
      type Operand = NonNullable<typeof q>;
      const attend = (a: Operand, b: Operand, c: Operand): Operand =>
        tf.matMul(tf.softmax(tf.add(tf.matMul(tf.mul(a, scale), b, false, true), bias!)), c);
      if (!backward) return [attend(q!, k!, v!)];
      const both = tf.valueAndGrads(attend as Parameters<typeof tf.valueAndGrads>[0]);
      const { value, grads } = both([q!, k!, v!], dy!);
      return [value, ...grads];
    },
    toOurs: headsBack,
  }),
});

const lastTwo = { perm: [0, 2, 1] };

const forwardNodes: readonly OnnxNode[] = [
  node('Mul', ['q', 'scale'], 'q_scaled'),
  node('Transpose', ['k'], 'k_turned', lastTwo),
  node('MatMul', ['q_scaled', 'k_turned'], 'scores'),
  node('Add', ['scores', 'bias'], 'masked'),
  node('Softmax', ['masked'], 'p', { axis: 2 }),
  node('MatMul', ['p', 'v'], 'o'),
];

/** dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(dP P)), dQ = dS K, dK = dS^T Q; written out, as onnxruntime-node does not differentiate. */
const backwardNodes: readonly OnnxNode[] = [
  node('Transpose', ['p'], 'p_turned', lastTwo),
  node('MatMul', ['p_turned', 'dy'], 'dv'),
  node('Transpose', ['v'], 'v_turned', lastTwo),
  node('MatMul', ['dy', 'v_turned'], 'dp'),
  node('Mul', ['dp', 'p'], 'weighted'),
  node('ReduceSum', ['weighted', 'last_axis'], 'delta', { keepdims: 1 }),
  node('Sub', ['dp', 'delta'], 'centred'),
  node('Mul', ['p', 'centred'], 'ds'),
  node('MatMul', ['ds', 'k'], 'dq_scaled'),
  node('Mul', ['dq_scaled', 'scale'], 'dq'),
  node('Transpose', ['ds'], 'ds_turned', lastTwo),
  node('MatMul', ['ds_turned', 'q_scaled'], 'dk'),
];

const onnx = (backward: boolean): Work => ({
  library: 'onnx',
  build: () => {
    const used = names.filter((name) => backward || name !== 'dy');
    const shape = [N, L, d];
    return {
      inputs: Object.fromEntries(used.map((name) => [name, { values: headsFirst(name), shape }])),
      constants: {
        scale: { values: Float32Array.of(scale), shape: [] },
        bias: { values: pairs(0, -1e9), shape: [L, L] },
        ...(backward && { last_axis: { values: BigInt64Array.of(2n), shape: [1] } }),
      },
      nodes: backward ? [...forwardNodes, ...backwardNodes] : forwardNodes,
      outputs: backward ? { o: shape, dq: shape, dk: shape, dv: shape } : { o: shape },
      toOurs: headsBack,
    };
  },
});

/** onnxruntime's own fused operator; its default factor is 1/sqrt(d) as well. */
const onnxFused: Work = {
  library: 'onnx',
  label: 'MultiHeadAttention',
  build: () => {
    const shape = [1, L, N * d];
    return {
      inputs: Object.fromEntries(names.slice(0, 3).map((name) => [name, { values: values(name), shape }])),
      constants: { bias: { values: pairs(0, -1e9), shape: [1, 1, L, L] } },
      nodes: [
        {
          ...node('MultiHeadAttention', ['q', 'k', 'v', '', '', 'bias'], 'o', { num_heads: N }),
          domain: 'com.microsoft',
        },
      ],
      outputs: { o: shape },
    };
  },
};
