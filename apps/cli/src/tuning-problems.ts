import type { Device, TuningProblem } from '@star-webgpu/tensor-webgpu';

type Float = TuningProblem['dtype'];
type Sides = Pick<TuningProblem, 'M' | 'N' | 'K'>;

/** A linear layer on so many rows. */
interface Layer {
  readonly name: string;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

const layouts = { NN: {}, NT: { transposeB: true }, TN: { transposeA: true } } as const;

const product = (name: string, layout: keyof typeof layouts, sides: Sides, dtype: Float): TuningProblem => ({
  name: `${name} ${layout} ${dtype}`,
  dtype,
  ...sides,
  ...layouts[layout],
});

const cube = (side: number, dtype: Float): TuningProblem[] =>
  (['NN', 'NT', 'TN'] as const).map((layout) => product(`${side}^3`, layout, { M: side, N: side, K: side }, dtype));

/** The layer itself, the gradient of its input and that of its weight. */
const layer = ({ name, rows, inputs, outputs }: Layer, dtype: Float): TuningProblem[] => [
  product(name, 'NT', { M: rows, N: outputs, K: inputs }, dtype),
  product(name, 'NN', { M: rows, N: inputs, K: outputs }, dtype),
  product(name, 'TN', { M: outputs, N: inputs, K: rows }, dtype),
];

/** The layers of a transformer block of a width, on so many tokens. */
const block = (name: string, rows: number, width: number): Layer[] => [
  { name: `${name} queries, keys, values`, rows, inputs: width, outputs: 3 * width },
  { name: `${name} output`, rows, inputs: width, outputs: width },
  { name: `${name} MLP in`, rows, inputs: width, outputs: 4 * width },
  { name: `${name} MLP out`, rows, inputs: 4 * width, outputs: width },
];

/** A 3 x 3 convolution of square pictures with as many channels out as in, and its two gradients. */
function convolution(batch: number, side: number, channels: number, dtype: Float): TuningProblem[] {
  const picture = { inHeight: side, inWidth: side, outHeight: side, outWidth: side };
  const uniforms = { ...picture, channels, kernelHeight: 3, kernelWidth: 3, stride: 1, padTop: 1, padLeft: 1 };
  const [pixels, taps] = [batch * side * side, 9 * channels];
  return (['forward', 'input', 'weight'] as const).map((kind) => ({
    name: `3x3 convolution ${channels} at ${side}x${side} ${kind} ${dtype}`,
    dtype,
    N: channels,
    ...(kind === 'weight' ? { M: taps, K: pixels } : { M: pixels, K: taps }),
    window: { kind, uniforms },
  }));
}

const emoji = { rows: 16 * 155, width: 192 } as const;
/** A layer of a STAR of depth 16 on 680 tokens; software adapters take a quarter of its width. */
const star = { rows: 680, width: 1024, softwareWidth: 256 } as const;

/** The products that `star bench --tune` measures on a device, in f32 and in f16: native halves, or packed ones. */
export function tuningProblems({ profile }: Device): TuningProblem[] {
  const layers = [
    ...block('emoji', emoji.rows, emoji.width),
    ...block('STAR d16', star.rows, profile.isCpu ? star.softwareWidth : star.width),
  ];
  return (['f32', 'f16'] as const).flatMap((dtype) => [
    ...[512, 1024].flatMap((side) => cube(side, dtype)),
    ...layers.flatMap((one) => layer(one, dtype)),
    ...convolution(2, 32, 128, dtype),
  ]);
}
