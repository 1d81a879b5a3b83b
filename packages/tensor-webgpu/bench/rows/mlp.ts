import { backward, matmul, mean, mul, noGrad, relu, square, sub, tensor } from '@star-webgpu/tensor-webgpu';
import type { Row, Work } from '../harness/row.ts';
import { hostValues } from '../harness/values.ts';
import { node, type OnnxTensor } from '../peers/onnx-model.ts';

const [batch, inputs, hidden, outputs] = [256, 512, 1024, 512] as const;

/** So large that one step changes the weights by about a tenth: a wrong gradient would show. */
const rate = 50;

/** relu(x W1) W2, the mean square against targets, both gradients, and W - rate dW. */
export const mlpRow: Row = {
  name: `MLP training step ${batch}x${inputs}x${hidden}x${outputs}`,
  about: `batch ${batch}, layers ${inputs} -> ${hidden} -> ${outputs}: forward, mean-square loss, backward, plain SGD`,
  // Two products forward, two for the weights, one for the hidden layer.
  flops: 2 * batch * hidden * (2 * inputs + 3 * outputs),
  // The loss is a mean of 131072 squares, which a peer adds up one by one.
  tolerance: 1e-4,
  goal: 4.5,
  works: () => [ours, jax, tfjs, onnx],
};

const shapes = { x: [batch, inputs], t: [batch, outputs], w1: [inputs, hidden], w2: [hidden, outputs] } as const;

const values = (name: keyof typeof shapes): Float32Array => {
  const [rows, columns] = shapes[name];
  const scale = name === 'w1' || name === 'w2' ? Math.sqrt(3 / rows) : 1;
  return hostValues(rows * columns, Object.keys(shapes).indexOf(name) + 1).map((value) => value * scale);
};

const names = ['x', 't', 'w1', 'w2'] as const;

const ours: Work = {
  library: 'ours',
  build: () => ({
    inputs: names.map((name) => tensor(values(name), shapes[name], { requiresGrad: name.startsWith('w') })),
    step: (x, t, w1, w2) => {
      const loss = mean(square(sub(matmul(relu(matmul(x!, w1!)), w2!), t!)));
      const [g1, g2] = backward(loss, [w1!, w2!]);
      return noGrad(() => [loss, sub(w1!, mul(g1!, rate)), sub(w2!, mul(g2!, rate))]);
    },
  }),
};

const jax: Work = {
  library: 'jax',
  build: ({ numpy, nn, valueAndGrad }) => ({
    inputs: names.map((name) => numpy.array(values(name), { shape: [...shapes[name]] })),
    step: (x, t, w1, w2) => {
      const lossOf = (a: typeof x, b: typeof x): NonNullable<typeof x> =>
        numpy.mean(numpy.square(numpy.matmul(nn.relu(numpy.matmul(x!, a!)), b!).sub(t!)));
      const [loss, [g1, g2]] = valueAndGrad(lossOf, { argnums: [0, 1] })(w1!.ref, w2!.ref);
      return [loss, w1!.sub(g1.mul(rate)), w2!.sub(g2.mul(rate))];
    },
  }),
};

const tfjs: Work = {
  library: 'tfjs',
  build: (tf) => ({
    inputs: names.map((name) => tf.tensor2d(values(name), [...shapes[name]])),
    step: (x, t, w1, w2) => {
      const lossOf = (a: typeof x, b: typeof x): NonNullable<typeof x> =>
        tf.mean(tf.square(tf.sub(tf.matMul(tf.relu(tf.matMul(x!, a!)), b!), t!)));
      const { value, grads } = tf.valueAndGrads(lossOf as Parameters<typeof tf.valueAndGrads>[0])([w1!, w2!]);
      return [value, tf.sub(w1!, tf.mul(grads[0]!, rate)), tf.sub(w2!, tf.mul(grads[1]!, rate))];
    },
  }),
};

const scalar = (value: number): OnnxTensor => ({ values: Float32Array.of(value), shape: [] });

/** onnxruntime-node does not differentiate: the backward pass is written out. */
const onnx: Work = {
  library: 'onnx',
  build: () => ({
    inputs: Object.fromEntries(names.map((name) => [name, { values: values(name), shape: shapes[name] }])),
    constants: { zero: scalar(0), twice_mean: scalar(2 / (batch * outputs)), rate: scalar(rate) },
    nodes: [
      node('MatMul', ['x', 'w1'], 'before'),
      node('Relu', ['before'], 'h'),
      node('MatMul', ['h', 'w2'], 'y'),
      node('Sub', ['y', 't'], 'difference'),
      node('Mul', ['difference', 'difference'], 'squares'),
      node('ReduceMean', ['squares'], 'loss', { keepdims: 0 }),
      node('Mul', ['difference', 'twice_mean'], 'dy'),
      node('Gemm', ['h', 'dy'], 'g2', { transA: 1 }),
      node('Gemm', ['dy', 'w2'], 'dh', { transB: 1 }),
      node('Greater', ['before', 'zero'], 'alive'),
      node('Where', ['alive', 'dh', 'zero'], 'dbefore'),
      node('Gemm', ['x', 'dbefore'], 'g1', { transA: 1 }),
      node('Mul', ['g1', 'rate'], 'step1'),
      node('Mul', ['g2', 'rate'], 'step2'),
      node('Sub', ['w1', 'step1'], 'w1_next'),
      node('Sub', ['w2', 'step2'], 'w2_next'),
    ],
    outputs: { loss: [], w1_next: shapes.w1, w2_next: shapes.w2 },
  }),
};
