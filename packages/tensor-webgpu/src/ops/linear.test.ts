import { expect, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed } from '../testing/index.ts';
import type { Tensor } from '../tensor.ts';
import { add, gelu, mul, relu, silu } from './elementwise.ts';
import { linear } from './linear.ts';
import { permute } from './view.ts';

const inputs = (width: number): [x: Tensor, weight: Tensor, bias: Tensor, gate: Tensor, residual: Tensor] => [
  hashed('x', [2, 3, 5]),
  hashed('w', [width, 5]),
  hashed('b', [width]),
  hashed('gate', [2, 1, width]),
  hashed('residual', [2, 3, width]),
];

const activations = { none: (x: Tensor): Tensor => x, relu, gelu, silu } as const;

describeVariants('linear', () => {
  it('adds the bias and reads strided input, with gradients', async () => {
    const x = hashed('x', [2, 4, 3]);
    await gradcheck((p, w, b) => linear(permute(p!, [0, 2, 1]), w!, b!), [x, hashed('w', [35, 4]), hashed('b', [35])]);
  });

  it.each(['none', 'relu', 'gelu', 'silu'] as const)(
    'finishes by %s, gate and residual as separate ops would',
    async (activation) => {
      for (const width of [7, 12]) {
        const [x, w, b, gate, residual] = inputs(width);
        const bent = activations[activation](linear(x, w, b));
        // the same arithmetic but for the last bits of tanh and exp in two spellings
        await expectClose(linear(x, w, b, { activation }), bent, 1e-6);
        await expectClose(linear(x, w, b, { activation, gate }), mul(bent, gate), 1e-6);
        await expectClose(linear(x, w, b, { activation, gate, residual }), add(residual, mul(bent, gate)), 1e-6);
      }
    },
  );

  it('has numerical gradients of input, weight, bias, gate and residual', async () => {
    const all = inputs(7);
    for (const activation of ['gelu', 'silu'] as const)
      await gradcheck(
        (x, w, b, gate, residual) => linear(x!, w!, b!, { activation, gate: gate!, residual: residual! }),
        all,
      );
    const [x, w, b, , residual] = all;
    await gradcheck((p, q, r, s) => linear(p!, q!, r!, { residual: s! }), [x, w, b, residual]);
    await gradcheck((p, q) => linear(p!, q!, undefined, { activation: 'gelu' }), [x, w]);
  });

  it('passes the gradient of a residual on where nothing else wants one', async () => {
    const [x, w, b, gate, residual] = inputs(7);
    await gradcheck((r) => linear(x, w, b, { activation: 'gelu', gate, residual: r! }), [residual]);
  });

  it('refuses operands that do not fit', () => {
    const [x, w, b] = inputs(7);
    expect(() => linear(x, hashed('w', [1, 4]))).toThrow('linear: input must end in 4 for weight [1,4], got [2,3,5].');
    expect(() => linear(x, w, b, { gate: hashed('gate', [4, 7]) })).toThrow(
      'linear: gate must end in 7 and have a divisor of 6 rows, got [4,7].',
    );
    expect(() => linear(x, w, b, { residual: hashed('residual', [2, 7]) })).toThrow(
      "linear: residual must have the result's shape [2,3,7], got [2,7].",
    );
  });
});
