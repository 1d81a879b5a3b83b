import {
  backward,
  hostRandom,
  initNormal,
  Linear,
  mean,
  MultiAdamW,
  noGrad,
  relu,
  scope,
  square,
  sub,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import type { Example } from './example.ts';

/** Teaches a small network the exclusive or. */
export const run: Example = async ({ print }) => {
  const init = initNormal(hostRandom(1), 0.7);
  const [hidden, out] = [new Linear({ in: 2, out: 16, init }), new Linear({ in: 16, out: 1, init })];
  const [x, y] = [tensor([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]), tensor([0, 1, 1, 0], [4, 1])];
  const guess = () => out.forward(relu(hidden.forward(x)));

  const parameters = [hidden, out].flatMap((layer) => [...layer.namedParameters().values()]);
  const adam = new MultiAdamW(parameters.map((parameter) => ({ parameter, decayed: false })));
  for (let step = 1; step <= 200; step++) {
    adam.prepare({ step, learningRate: 0.03, weightDecay: 0, clipNorm: 1 });
    const loss = scope(() => {
      const error = mean(square(sub(guess(), y)));
      adam.update(backward(error, parameters));
      return error;
    });
    if (step % 50 === 0) print(`step ${step}: error ${(await loss.data())[0]!.toFixed(5)}`);
    loss.dispose();
  }
  const answers = await noGrad(guess).data();
  print(`0 0, 0 1, 1 0, 1 1 -> ${[...answers].map((value) => value.toFixed(2)).join(', ')}`);
  for (const part of [adam, hidden, out]) part.dispose();
};
