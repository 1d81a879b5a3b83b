import { conv2d, detach, noGrad, tensor, vectorJacobian } from '@star-webgpu/tensor-webgpu';
import type { LeftOut, Row, Work } from '../harness/row.ts';
import { hostValues, permuteHost } from '../harness/values.ts';
import { node } from '../peers/onnx-model.ts';

const [channels, side, window] = [160, 32, 3] as const;
const multiplyAdds = side ** 2 * window ** 2 * channels ** 2;

/** y = x * w, 3x3 with a border of zeros, batch 1; with `backward` also dx and dw from a given dy. */
export const convRow = (backward: boolean): Row => ({
  name: `conv 3x3 ${channels}->${channels} at ${side}x${side}, ${backward ? 'forward + backward' : 'forward'}`,
  about: `batch 1, no bias${backward ? '; gradients of input and weight' : ''}`,
  flops: 2 * multiplyAdds * (backward ? 3 : 1),
  // Sums of 1440 products in another order.
  tolerance: 1e-5,
  goal: 5,
  works: () => [ours(backward), jax(backward), tfjs(backward), backward ? onnxLeftOut : onnx],
});

/** Axes of a picture, and of the weight, as ours has them. */
const picture = [1, side, side, channels] as const;
const weight = [channels, channels, window, window] as const;

const count = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);
const x = (): Float32Array => hostValues(count(picture), 1);
const w = (): Float32Array => hostValues(count(weight), 2);
const dy = (): Float32Array => hostValues(count(picture), 3);

const ours = (backward: boolean): Work => ({
  library: 'ours',
  build: () => ({
    inputs: [
      tensor(x(), picture, { requiresGrad: backward }),
      tensor(w(), weight, { requiresGrad: backward }),
      tensor(dy(), picture),
    ],
    step: (x_BHWI, w_OIhw, dy_BHWO) => {
      const y = conv2d(x_BHWI!, w_OIhw!, { padding: 1 });
      return backward ? [y, ...noGrad(() => vectorJacobian([y], [detach(dy_BHWO!)], [x_BHWI!, w_OIhw!]))] : [y];
    },
  }),
});

/** Channels first, as jax-js and ONNX have them. */
const planes = [1, channels, side, side] as const;
const toPlanes = (values: Float32Array): Float32Array => permuteHost(values, picture, [0, 3, 1, 2]);
const fromPlanes = (values: Float32Array): Float32Array => permuteHost(values, planes, [0, 2, 3, 1]);
const mapFirstTwo = (outputs: readonly Float32Array[]): Float32Array[] =>
  outputs.map((values, i) => (i < 2 ? fromPlanes(values) : values));

const jax = (backward: boolean): Work => ({
  library: 'jax',
  build: ({ numpy, lax, vjp }) => {
    const conv = (a: Parameters<typeof lax.conv>[0], b: typeof a): typeof a => lax.conv(a, b, [1, 1], 'SAME');
    return {
      inputs: [
        numpy.array(toPlanes(x()), { shape: [...planes] }),
        numpy.array(w(), { shape: [...weight] }),
        numpy.array(toPlanes(dy()), { shape: [...planes] }),
      ],
      step: (a, b, upstream) => {
        if (!backward) {
          upstream!.dispose();
          return [conv(a!, b!)];
        }
        const [y, pull] = vjp(conv, [a!, b!]);
        return [y, ...pull(upstream!)];
      },
      toOurs: mapFirstTwo,
    };
  },
});

/** tfjs has weights as [h, w, I, O]. */
const window4d = [window, window, channels, channels] as const;

const tfjs = (backward: boolean): Work => ({
  library: 'tfjs',
  build: (tf) => {
    type Four = ReturnType<typeof tf.tensor4d>;
    const conv = (a: Four, b: Four): Four => tf.conv2d(a, b, 1, 'same');
    return {
      inputs: [
        tf.tensor4d(x(), [...picture]),
        tf.tensor4d(permuteHost(w(), weight, [2, 3, 1, 0]), [...window4d]),
        tf.tensor4d(dy(), [...picture]),
      ],
      step: (a, b, upstream) => {
        if (!backward) return [conv(a as Four, b as Four)];
        const both = tf.valueAndGrads(conv as Parameters<typeof tf.valueAndGrads>[0]);
        const { value, grads } = both([a!, b!], upstream!);
        return [value, ...grads];
      },
      toOurs: (outputs) => outputs.map((values, i) => (i === 2 ? permuteHost(values, window4d, [3, 2, 0, 1]) : values)),
    };
  },
});

const onnx: Work = {
  library: 'onnx',
  build: () => ({
    inputs: { x: { values: toPlanes(x()), shape: planes }, w: { values: w(), shape: weight } },
    nodes: [node('Conv', ['x', 'w'], 'y', { kernel_shape: [window, window], pads: [1, 1, 1, 1] })],
    outputs: { y: planes },
    toOurs: mapFirstTwo,
  }),
};

const onnxLeftOut: LeftOut = {
  library: 'onnx',
  why: 'it does not differentiate, and ONNX has no operator for the gradient of a convolution by its weight',
};
